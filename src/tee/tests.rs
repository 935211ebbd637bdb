//! Platforms that are made of files.
#![forbid(unsafe_code)]

use super::*;
use crate::wire::hex;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder that goes with its owner.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("keyway-tee-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Scratch(path)
    }

    /// Devices in it, none of which is there.
    fn devices(&self) -> Devices {
        let at = |name| self.0.join(name);
        Devices {
            sev_guest: at("sev-guest"),
            gramine: at("attestation"),
            tpm: at("tpmrm0"),
            tsm: at("report"),
        }
    }

    fn gramine(&self, key: &[u8]) {
        let folder = self.0.join("attestation");
        fs::create_dir_all(folder.join("keys")).unwrap();
        fs::write(folder.join("keys/_sgx_mrenclave"), key).unwrap();
        fs::write(folder.join("user_report_data"), b"").unwrap();
        fs::write(folder.join("quote"), b"a quote").unwrap();
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn choice_of(wanted: &Wanted, scratch: &Scratch) -> Result<&'static [u8], String> {
    source(wanted, &scratch.devices(), &scratch.0, Purpose::Certificate).map(|source| source.info())
}

fn wanted(choice: Choice) -> Wanted {
    Wanted { choice, pcrs: None }
}

#[test]
fn the_first_platform_that_is_there_is_taken() {
    let scratch = Scratch::new();
    let auto = wanted(Choice::Auto);
    let missing = choice_of(&auto, &scratch).unwrap_err();
    let folder = scratch.0.display();
    assert_eq!(
        missing,
        format!(
            "this machine has no {folder}/sev-guest, no {folder}/attestation/keys/_sgx_mrenclave and no {folder}/tpmrm0: \
             pass such a device in, or name a key file (--tee file:PATH)"
        )
    );
    fs::write(scratch.0.join("tpmrm0"), b"").unwrap();
    assert_eq!(choice_of(&auto, &scratch), Ok(&b"tpm-sealing-key"[..]));
    scratch.gramine(&[7; 16]);
    assert_eq!(choice_of(&auto, &scratch), Ok(&b"intel-sealing-key"[..]));
    let bound = Wanted { choice: Choice::Auto, pcrs: Pcrs::parse("7") };
    assert_eq!(
        choice_of(&bound, &scratch),
        Err("--tee-tpm-pcrs is for a TPM, but the platform is sgx".to_owned())
    );
    fs::write(scratch.0.join("sev-guest"), b"").unwrap();
    assert_eq!(choice_of(&auto, &scratch), Ok(&b"amd-sealing-key"[..]));
    assert_eq!(choice_of(&wanted(Choice::Sgx), &scratch), Ok(&b"intel-sealing-key"[..]));
}

/// The private number of a key: what follows the version in its ECPrivateKey.
fn private_number(pkcs8: &Secret) -> String {
    let start = pkcs8.expose().windows(5).position(|bytes| bytes == [2, 1, 1, 4, 32]).unwrap() + 5;
    let mut digits = Vec::new();
    hex::encode(&pkcs8.expose()[start..start + 32], &mut digits);
    String::from_utf8(digits).unwrap().to_ascii_lowercase()
}

/// These stand in docs/platform-keys.md; tests/tee.rs has Python compute others.
#[test]
fn keys_are_those_of_the_documentation() {
    let scratch = Scratch::new();
    scratch.gramine(&(0..16).collect::<Vec<u8>>());
    let key = |salt: &[u8]| {
        let source =
            source(&wanted(Choice::Sgx), &scratch.devices(), &scratch.0, Purpose::Certificate).unwrap();
        private_number(&derive::tls_key(&*source, salt).unwrap())
    };
    assert_eq!(
        key(&[0xA1, 0xB2, 0xC3, 0xD4]),
        "cfd57a26ecd2bf995d978ed3810057acd9639036f307945457efdb06afe520d5"
    );
    assert_eq!(key(&[]), "b89879c576fd6db78dc9fb310a94e50162db129e93f704d4c253ed6a46e53ff1");
    let amd =
        derive::p256_key(&Secret::new((0..32).collect()), &[0xA1, 0xB2, 0xC3, 0xD4], b"amd-sealing-key");
    assert_eq!(private_number(&amd), "ae88a1febb5f1e8bc1cceccbba62a69f825ed6e3e6a0ae4e781633014eeb37dd");
}

#[test]
fn a_key_file_is_its_owners_alone_and_long_enough() {
    let scratch = Scratch::new();
    let path = scratch.0.join("key");
    let told = |content: &[u8], mode: u32| {
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let secret = KeyFile::new(&path).secret(&[]);
        secret
            .map(|secret| secret.expose().to_vec())
            .map_err(|reason| reason.strip_prefix(&format!("{}: ", path.display())).unwrap().to_owned())
    };
    assert_eq!(told(&[5; 32], 0o600), Ok(vec![5; 32]));
    assert_eq!(told(&[5; 4096], 0o400), Ok(vec![5; 4096]));
    assert_eq!(told(&[5; 31], 0o600), Err("must have 32 to 4096 bytes, but has 31".to_owned()));
    assert_eq!(told(&[5; 5000], 0o600), Err("must have 32 to 4096 bytes, but has 4097".to_owned()));
    for mode in [0o640, 0o604, 0o620] {
        let reason = format!("others than its owner may use it (mode {mode:03o}): chmod 600");
        assert_eq!(told(&[5; 32], mode), Err(reason));
    }
    let folder = KeyFile::new(&scratch.0).secret(&[]).err().unwrap();
    assert!(folder.ends_with(": is no file"), "{folder}");
}

#[test]
fn gramine_is_asked_by_its_files() {
    let scratch = Scratch::new();
    let sgx = Sgx::new(&scratch.0.join("attestation"));
    let folder = scratch.0.display();
    assert_eq!(
        quoter(&scratch.devices()).err().unwrap(),
        format!(
            "this machine has no {folder}/report that can be written to, no {folder}/sev-guest and no {folder}/attestation/quote"
        )
    );
    scratch.gramine(&[7; 16]);
    let quoter = quoter(&scratch.devices()).unwrap();
    assert_eq!(quoter.provider(), Ok(Provider::Sgx));
    assert_eq!(quoter.quote(&[9; 64]).unwrap(), b"a quote");
    assert_eq!(fs::read(scratch.0.join("attestation/user_report_data")).unwrap(), [9; 64]);
    assert!(sgx.secret(&[]).is_ok_and(|secret| secret.matches(&[7; 16])));
    scratch.gramine(&[7; 17]);
    assert!(sgx.secret(&[]).err().unwrap().ends_with("must have 16 bytes, but has 17"));
    fs::write(scratch.0.join("attestation/quote"), b"").unwrap();
    assert!(quoter.quote(&[9; 64]).unwrap_err().ends_with("is empty: Gramine was not set up for quotes"));
}

#[test]
fn what_is_no_sev_guest_or_no_tpm_says_so() {
    let scratch = Scratch::new();
    for name in ["sev-guest", "tpmrm0"] {
        fs::write(scratch.0.join(name), b"").unwrap();
    }
    let folder = scratch.0.display();
    let devices = scratch.devices();
    let quoter = quoter(&devices).unwrap();
    assert_eq!(quoter.provider(), Ok(Provider::SevSnp));
    let reason = "Inappropriate ioctl for device (os error 25) (firmware and hypervisor say 0x0)";
    assert_eq!(quoter.quote(&[0; 64]), Err(format!("{folder}/sev-guest: {reason}")));
    let secret = |choice| {
        source(&wanted(choice), &devices, &scratch.0, Purpose::Certificate)
            .unwrap()
            .secret(&[1])
            .err()
            .unwrap()
    };
    assert_eq!(secret(Choice::SevSnp), format!("{folder}/sev-guest: {reason}"));
    assert_eq!(secret(Choice::Tpm(None)), format!("{folder}/tpmrm0: unexpected end of file"));
}

/// A platform whose quotes are what it is asked for, `bytes` long, with the report data at `at`.
struct Fake {
    provider: Provider,
    at: usize,
    bytes: usize,
}

impl Quoter for Fake {
    fn quote(&self, report_data: &[u8; REPORT_DATA_BYTES]) -> Result<Vec<u8>, String> {
        let mut quote = vec![0xEE; self.at];
        quote.extend_from_slice(report_data);
        quote.resize(self.bytes, 0xEE);
        Ok(quote)
    }

    fn provider(&self) -> Result<Provider, String> {
        Ok(self.provider.clone())
    }
}

/// Types, offsets and report data are those of certificates that Cosmian has published.
#[test]
fn a_platform_vouches_for_a_public_key() {
    let point = [4; 65];
    // printf '\4%.0s' $(seq 65) | sha256sum
    let digest = "9bda95bda1ef8f1b61f6d47223f4a1190b99507d76d8e43497bb7b176e59cb65";
    for (provider, oid, at, bytes) in [
        (Provider::Sgx, "1.2.840.113741.1337.6", 368, 4734),
        (Provider::SevSnp, "1.2.840.113741.1337.7", 80, 1184),
    ] {
        let evidence = |at, bytes| ra_tls::evidence(&Fake { provider: provider.clone(), at, bytes }, &point);
        let found = evidence(at, bytes).unwrap();
        assert_eq!((found.oid, found.quote.len(), &found.provider), (oid, bytes, &provider));
        let mut digits = Vec::new();
        hex::encode(&found.quote[at..at + 64], &mut digits);
        let digits = String::from_utf8(digits).unwrap().to_ascii_lowercase();
        assert_eq!(digits, format!("{digest}{}", "00".repeat(32)));
        for (at, bytes) in [(at + 1, bytes), (at - 1, bytes), (at, at + 63), (0, 0)] {
            let told = format!("the quote of {provider}, {bytes} bytes, is not over what was asked for");
            assert_eq!(evidence(at, bytes), Err(told));
        }
    }
    let other = Fake { provider: Provider::Other("tdx_guest".into()), at: 368, bytes: 5000 };
    assert_eq!(
        ra_tls::evidence(&other, &point),
        Err("RA-TLS has no extension for quotes of \"tdx_guest\"".to_owned())
    );
}
