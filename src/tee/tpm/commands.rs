//! The few commands of a TPM 2.0 that deriving a key takes, in the bytes of the TPM 2.0 Library Specification (TCG), parts 2
//! (structures) and 3 (commands).
#![forbid(unsafe_code)]

use super::{Address, Pcrs};
use crate::secret::{Buffer, Secret};
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Of one answer on a socket. The kernel has deadlines of its own for devices.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of an answer (TPM_PT_MAX_RESPONSE_SIZE of common TPMs).
const ANSWER_BYTES_MAX: usize = 4096;
const HEAD_BYTES: usize = 10;

const TAG_NO_SESSIONS: u16 = 0x8001;
const TAG_SESSIONS: u16 = 0x8002;

const OWNER: u32 = 0x4000_0001;
const NULL_HANDLE: u32 = 0x4000_0007;
const PASSWORD_SESSION: u32 = 0x4000_0009;

const ALG_NULL: u16 = 0x0010;
const ALG_HMAC: u16 = 0x0005;
const ALG_KEYED_HASH: u16 = 0x0008;
const ALG_SHA256: u16 = 0x000B;

const SESSION_POLICY: u8 = 1;
const SESSION_TRIAL: u8 = 3;
/// TPMA_SESSION: keep it, so that it is flushed in one way whether a command succeeds or not.
const CONTINUE_SESSION: u8 = 1;

/// TPMA_OBJECT: fixedTPM, fixedParent, sensitiveDataOrigin, noDA, sign.
const KEY_ATTRIBUTES: u32 = 0x0004_0432;
/// userWithAuth: the empty password is enough.
const USER_WITH_AUTH: u32 = 0x0000_0040;

/// TPM_RC_POLICY_FAIL of the first session.
pub const POLICY_FAIL: u32 = 0x99D;
/// TPM_RC_BAD_AUTH of the first session.
pub const BAD_AUTH: u32 = 0x9A2;

/// A command of the TPM: its number and its name.
type Command = (u32, &'static str);
const CREATE_PRIMARY: Command = (0x131, "TPM2_CreatePrimary");
const HMAC: Command = (0x155, "TPM2_HMAC");
const FLUSH_CONTEXT: Command = (0x165, "TPM2_FlushContext");
const START_AUTH_SESSION: Command = (0x176, "TPM2_StartAuthSession");
const PCR_READ: Command = (0x17E, "TPM2_PCR_Read");
const POLICY_PCR: Command = (0x17F, "TPM2_PolicyPCR");
const POLICY_GET_DIGEST: Command = (0x189, "TPM2_PolicyGetDigest");

/// Why there is no answer.
#[derive(Debug)]
pub enum Error {
    /// There is no device, or it fails.
    Device(io::Error),
    /// The TPM refuses.
    Code {
        /// What it was asked.
        command: &'static str,
        /// Its answer (part 2, section 6.6).
        code: u32,
    },
    /// It has no SHA-256 bank, or not this PCR: a policy would bind to nothing.
    NoPcr(Pcrs),
    /// What it says is not as the specification has it.
    Malformed,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Device(error) => error.fmt(f),
            Error::Code { command, code } => write!(f, "the TPM refuses {command} with code {code:#x}"),
            Error::NoPcr(pcr) => write!(f, "the TPM has no PCR {pcr} in a SHA-256 bank"),
            Error::Malformed => f.write_str("this is no TPM 2.0: its answer cannot be read"),
        }
    }
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// A way to a TPM.
pub struct Connection(Box<dyn Stream>);

impl Connection {
    /// Opens a device or a socket.
    pub fn open(address: &Address) -> Result<Connection, Error> {
        open(address).map(Connection).map_err(Error::Device)
    }

    /// The digest of the policy that these PCRs hold what they hold now.
    pub fn policy_of(&mut self, pcrs: Pcrs) -> Result<Vec<u8>, Error> {
        for pcr in pcrs.each() {
            self.check_pcr(pcr)?;
        }
        self.in_session(SESSION_TRIAL, pcrs, |tpm, session| {
            let answer = tpm.run(TAG_NO_SESSIONS, POLICY_GET_DIGEST, &session.to_be_bytes())?;
            sized(&mut &answer[..]).map(<[u8]>::to_vec)
        })
    }

    /// The HMAC over `label` by the owner's primary key with this `unique`, and this policy if any.
    pub fn keyed_hash(
        &mut self,
        unique: &[u8],
        policy: Option<(Pcrs, &[u8])>,
        label: &[u8],
    ) -> Result<Secret, Error> {
        let key = self.create_primary(unique, policy.map(|(_, digest)| digest))?;
        let secret = match policy {
            None => self.hmac(key, PASSWORD_SESSION, label),
            Some((pcrs, _)) => {
                self.in_session(SESSION_POLICY, pcrs, |tpm, session| tpm.hmac(key, session, label))
            }
        };
        self.flush(key)?;
        secret
    }

    fn create_primary(&mut self, unique: &[u8], policy_digest: Option<&[u8]>) -> Result<u32, Error> {
        let password = if policy_digest.is_none() { USER_WITH_AUTH } else { 0 };
        let mut template = Vec::new();
        put_u16(&mut template, ALG_KEYED_HASH);
        put_u16(&mut template, ALG_SHA256);
        put_u32(&mut template, KEY_ATTRIBUTES | password);
        put_sized(&mut template, policy_digest.unwrap_or_default());
        put_u16(&mut template, ALG_HMAC);
        put_u16(&mut template, ALG_SHA256);
        put_sized(&mut template, unique);
        let mut body = Vec::new();
        put_u32(&mut body, OWNER);
        put_session(&mut body, PASSWORD_SESSION);
        // TPMS_SENSITIVE_CREATE: no password, no data of ours.
        put_sized(&mut body, &[0, 0, 0, 0]);
        put_sized(&mut body, &template);
        // No outside information, no PCRs for the creation data.
        put_sized(&mut body, &[]);
        put_u32(&mut body, 0);
        let answer = self.run(TAG_SESSIONS, CREATE_PRIMARY, &body)?;
        u32_of(&mut &answer[..])
    }

    fn hmac(&mut self, key: u32, session: u32, label: &[u8]) -> Result<Secret, Error> {
        let mut body = Vec::new();
        put_u32(&mut body, key);
        put_session(&mut body, session);
        put_sized(&mut body, label);
        put_u16(&mut body, ALG_NULL); // The key's own hash.
        let answer = self.run(TAG_SESSIONS, HMAC, &body)?;
        let mut rest = &answer[..];
        u32_of(&mut rest)?; // The size of the parameters.
        match sized(&mut rest)? {
            digest if digest.len() == 32 => Ok(Secret::copy_of(digest)),
            _ => Err(Error::Malformed),
        }
    }

    /// Lets `act` use a session in which the policy of these PCRs was computed. Its nonces are of no use: it has neither salt
    /// nor key.
    fn in_session<T>(
        &mut self,
        kind: u8,
        pcrs: Pcrs,
        act: impl FnOnce(&mut Connection, u32) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut body = Vec::new();
        put_u32(&mut body, NULL_HANDLE);
        put_u32(&mut body, NULL_HANDLE);
        put_sized(&mut body, &[0; 16]);
        put_sized(&mut body, &[]);
        body.push(kind);
        put_u16(&mut body, ALG_NULL);
        put_u16(&mut body, ALG_SHA256);
        let answer = self.run(TAG_NO_SESSIONS, START_AUTH_SESSION, &body)?;
        let session = u32_of(&mut &answer[..])?;
        let done = self.policy_pcr(session, pcrs).and_then(|()| act(self, session));
        self.flush(session)?;
        done
    }

    fn policy_pcr(&mut self, session: u32, pcrs: Pcrs) -> Result<(), Error> {
        let mut body = Vec::new();
        put_u32(&mut body, session);
        put_sized(&mut body, &[]); // What they hold now.
        put_pcrs(&mut body, pcrs);
        self.run(TAG_NO_SESSIONS, POLICY_PCR, &body).map(drop)
    }

    /// A TPM takes PCRs that it does not have for an empty set.
    fn check_pcr(&mut self, pcr: Pcrs) -> Result<(), Error> {
        let mut body = Vec::new();
        put_pcrs(&mut body, pcr);
        let answer = self.run(TAG_NO_SESSIONS, PCR_READ, &body)?;
        // The update counter, the PCRs that were read, their values.
        let read = answer.get(4..4 + body.len()).ok_or(Error::Malformed)?;
        if read == body { Ok(()) } else { Err(Error::NoPcr(pcr)) }
    }

    fn flush(&mut self, handle: u32) -> Result<(), Error> {
        self.run(TAG_NO_SESSIONS, FLUSH_CONTEXT, &handle.to_be_bytes()).map(drop)
    }

    /// Sends a command and gives what its answer holds after the head.
    fn run(&mut self, tag: u16, (number, name): Command, body: &[u8]) -> Result<Buffer, Error> {
        let mut command = Vec::with_capacity(HEAD_BYTES + body.len());
        put_u16(&mut command, tag);
        put_u32(&mut command, (HEAD_BYTES + body.len()) as u32);
        put_u32(&mut command, number);
        command.extend_from_slice(body);
        // At once: a device takes each write for a command.
        self.0.write_all(&command).map_err(Error::Device)?;
        let mut answer = self.receive()?;
        let code = u32_of(&mut &answer[6..])?;
        if code != 0 {
            return Err(Error::Code { command: name, code });
        }
        answer.drain(..HEAD_BYTES);
        Ok(answer)
    }

    /// One answer, with its head. A device gives it in one read, and would drop what does not fit.
    fn receive(&mut self) -> Result<Buffer, Error> {
        let mut answer = Buffer::new(vec![0; ANSWER_BYTES_MAX]);
        let (mut received, mut expected) = (0, HEAD_BYTES);
        while received < expected {
            match self.0.read(&mut answer[received..]) {
                Ok(0) => return Err(Error::Device(io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => received += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::Device(error)),
            }
            if received >= HEAD_BYTES {
                expected = u32_of(&mut &answer[2..])? as usize;
                if !(HEAD_BYTES..=ANSWER_BYTES_MAX).contains(&expected) {
                    return Err(Error::Malformed);
                }
            }
        }
        answer.truncate(expected);
        Ok(answer)
    }
}

fn open(address: &Address) -> io::Result<Box<dyn Stream>> {
    match address {
        Address::File(path) if fs::metadata(path)?.file_type().is_socket() => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            Ok(Box::new(stream))
        }
        Address::File(path) => Ok(Box::new(OpenOptions::new().read(true).write(true).open(path)?)),
        Address::Tcp(address) => {
            let address = address.to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
            let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            Ok(Box::new(stream))
        }
    }
}

fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// A TPM2B: a length of two bytes before it.
fn put_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u16(out, u16::try_from(bytes.len()).expect("nothing of ours is longer than 64 KiB"));
    out.extend_from_slice(bytes);
}

/// The authorisation area (part 1, section 19.6) with one session, without nonce and HMAC.
fn put_session(out: &mut Vec<u8>, session: u32) {
    put_u32(out, 9);
    put_u32(out, session);
    put_sized(out, &[]);
    out.push(if session == PASSWORD_SESSION { 0 } else { CONTINUE_SESSION });
    put_sized(out, &[]);
}

/// TPML_PCR_SELECTION with one bank.
fn put_pcrs(out: &mut Vec<u8>, pcrs: Pcrs) {
    put_u32(out, 1);
    put_u16(out, ALG_SHA256);
    out.push(3);
    out.extend_from_slice(&pcrs.bits());
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], Error> {
    let (taken, more) = rest.split_at_checked(count).ok_or(Error::Malformed)?;
    *rest = more;
    Ok(taken)
}

fn u32_of(rest: &mut &[u8]) -> Result<u32, Error> {
    Ok(u32::from_be_bytes(take(rest, 4)?.try_into().expect("four bytes")))
}

fn sized<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Error> {
    let count = u16::from_be_bytes(take(rest, 2)?.try_into().expect("two bytes"));
    take(rest, count.into())
}
