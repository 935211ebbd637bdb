//! AMD SEV-SNP: what the firmware answers to a guest, through the kernel's driver (Linux, `include/uapi/linux/sev-guest.h`).
//!
//! The numbers of messages and fields are those of AMD's "SEV Secure Nested Paging Firmware ABI Specification", 56860.
#![allow(unsafe_code)] // One ioctl; the block says why it is sound.

use super::{Provider, Quoter, REPORT_DATA_BYTES, Source};
use crate::secret::Secret;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// `_IOWR('S', 0, struct snp_guest_request_ioctl)`.
pub(crate) const SNP_GET_REPORT: u32 = 0xC020_5300;
/// `_IOWR('S', 1, struct snp_guest_request_ioctl)`.
const SNP_GET_DERIVED_KEY: u32 = 0xC020_5301;
/// Mix the guest's measurement into the key, and nothing else (MSG_KEY_REQ, GUEST_FIELD_SELECT). The server that this one
/// replaces asked for field 2, the family ID, which any guest may have.
const FIELD_MEASUREMENT: u64 = 1 << 3;

/// `struct snp_derived_key_req`: zeros choose the chip's key (VCEK) and VMPL 0.
#[repr(C)]
#[derive(Default)]
struct KeyRequest {
    root_key_select: u32,
    reserved: u32,
    guest_field_select: u64,
    vmpl: u32,
    guest_svn: u32,
    tcb_version: u64,
}

/// `struct snp_report_req`.
#[repr(C)]
struct ReportRequest {
    user_data: [u8; REPORT_DATA_BYTES],
    vmpl: u32,
    reserved: [u8; 28],
}

/// `struct snp_guest_request_ioctl`.
#[repr(C)]
struct GuestRequest {
    message_version: u8,
    request: u64,
    response: u64,
    /// What hypervisor (high half) and firmware (low half) say.
    errors: u64,
}

/// Bytes of `struct snp_derived_key_resp` and `struct snp_report_resp`.
const KEY_RESPONSE_BYTES: usize = 64;
const REPORT_RESPONSE_BYTES: usize = 4000;
/// Both begin with a status and, for reports, their size; the rest begins here.
const RESPONSE_HEAD_BYTES: usize = 32;
const KEY_BYTES: usize = 32;

const _: () = assert!(size_of::<KeyRequest>() == 32 && size_of::<ReportRequest>() == 96);
const _: () = assert!(size_of::<GuestRequest>() == 32);

/// A guest of a machine with AMD SEV-SNP.
pub struct SevSnp {
    device: PathBuf,
}

impl SevSnp {
    /// The guest that has this device.
    pub fn new(device: &Path) -> SevSnp {
        SevSnp { device: device.to_owned() }
    }

    /// Sends one message to the firmware. `Request` is the struct that belongs to `command`, and `N` the size of its answer.
    fn ask<Request, const N: usize>(
        &self,
        command: u32,
        request: &Request,
    ) -> Result<Zeroizing<[u8; N]>, String> {
        let wrong = |reason: String| format!("{}: {reason}", self.device.display());
        let device = OpenOptions::new().read(true).write(true).open(&self.device);
        let device = device.map_err(|error| wrong(error.to_string()))?;
        let mut response = Zeroizing::new([0; N]);
        let mut message = GuestRequest {
            message_version: 1,
            request: std::ptr::from_ref(request) as u64,
            response: response.as_mut_ptr() as u64,
            errors: 0,
        };
        // SAFETY: the device is open, `message` is valid for reads and writes, and the addresses in it are those of a request
        // and a response of the sizes that the driver takes for this command; all of them outlive the call.
        let value = unsafe { libc::ioctl(device.as_raw_fd(), command as libc::Ioctl, &raw mut message) };
        if value != 0 {
            let error = io::Error::last_os_error();
            return Err(wrong(format!("{error} (firmware and hypervisor say {:#x})", message.errors)));
        }
        match number(&response[..4]) {
            0 => Ok(response),
            status => Err(wrong(format!("the firmware refuses: status {status:#x}"))),
        }
    }
}

impl Source for SevSnp {
    fn secret(&self, _salt: &[u8]) -> Result<Secret, String> {
        let request = KeyRequest { guest_field_select: FIELD_MEASUREMENT, ..KeyRequest::default() };
        let response = self.ask::<_, KEY_RESPONSE_BYTES>(SNP_GET_DERIVED_KEY, &request)?;
        Ok(Secret::copy_of(&response[RESPONSE_HEAD_BYTES..][..KEY_BYTES]))
    }

    fn info(&self) -> &'static [u8] {
        b"amd-sealing-key"
    }
}

impl Quoter for SevSnp {
    fn quote(&self, report_data: &[u8; REPORT_DATA_BYTES]) -> Result<Vec<u8>, String> {
        let request = ReportRequest { user_data: *report_data, vmpl: 0, reserved: [0; 28] };
        let response = self.ask::<_, REPORT_RESPONSE_BYTES>(SNP_GET_REPORT, &request)?;
        let size = number(&response[4..8]) as usize;
        let report = response[RESPONSE_HEAD_BYTES..].get(..size).filter(|report| !report.is_empty());
        let wrong =
            || format!("{}: the firmware says that its report has {size} bytes", self.device.display());
        report.map(<[u8]>::to_vec).ok_or_else(wrong)
    }

    fn provider(&self) -> Result<Provider, String> {
        Ok(Provider::SevSnp)
    }
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes.try_into().expect("four bytes"))
}
