//! One order through acme-micro, in two steps.
#![forbid(unsafe_code)]

use super::files;
use crate::acme::challenge::{AlpnChallenge, Challenge, HttpChallenge, Kind};
use crate::acme::failure::{Failure, Kind as FailureKind};
use crate::acme::{KeySource, KeyType, Settings, layout};
use crate::crypto::self_signed;
use crate::secret::Buffer;
use crate::time::Timestamp;
use acme_micro::order::{Auth, NewOrder};
use acme_micro::{Account, Directory, DirectoryUrl};
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use std::time::Duration;
use zeroize::Zeroizing;

/// Between two questions whether the authority has validated or issued.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// The coordinates of a point on P-256.
const COORDINATE_BYTES: i32 = 32;

/// An order whose challenges are to be proved.
pub struct Begun {
    /// How control is proved.
    pub kind: Kind,
    order: NewOrder,
    unproved: Vec<Auth>,
}

impl Begun {
    /// Whether the authority wants any proof.
    pub fn needs_proof(&self) -> bool {
        !self.unproved.is_empty()
    }
}

/// What was issued.
pub struct Certificate {
    /// PKCS #8.
    pub private_key_pem: Buffer,
    /// The certificate and its chain, as the authority gave them.
    pub chain_pem: String,
}

/// Opens the account, makes an order, and gives the challenges of this kind that are to be proved.
pub fn begin(settings: &Settings, kind: Kind, now: Timestamp) -> Result<(Begun, Vec<Challenge>), Failure> {
    let order = account(settings)?.new_order(&settings.names[0], &other_names(settings)).map_err(told)?;
    let (mut unproved, mut challenges) = (Vec::new(), Vec::new());
    for authorization in order.authorizations().map_err(told)? {
        if authorization.need_challenge() {
            challenges.push(challenge(&authorization, kind, now)?);
            unproved.push(authorization);
        }
    }
    Ok((Begun { kind, order, unproved }, challenges))
}

/// Lets the authority look for the proofs.
pub fn prove(begun: &Begun) -> Result<(), Failure> {
    for authorization in &begun.unproved {
        let validated = match begun.kind {
            Kind::Http01 => authorization.http_challenge().map(|proof| proof.validate(POLL_INTERVAL)),
            Kind::TlsAlpn01 => authorization.tls_alpn_challenge().map(|proof| proof.validate(POLL_INTERVAL)),
        };
        validated.ok_or_else(|| not_offered(authorization, begun.kind))?.map_err(told)?;
    }
    Ok(())
}

/// Fetches the certificate of an order that was proved.
pub fn fetch(settings: &Settings, begun: Begun) -> Result<Certificate, Failure> {
    let mut order = begun.order;
    order.refresh().map_err(told)?;
    let Some(validated) = order.confirm_validations() else {
        return Err(Failure::of_order(&format!("Order is in status: {:?}", order.api_order().status)));
    };
    let key = certificate_key(&settings.key)?;
    let private_key_pem = Buffer::new(key.private_key_to_pem_pkcs8().map_err(broken)?);
    let issued = validated.finalize_pkey(key, POLL_INTERVAL).map_err(told)?;
    let certificate = issued.download_cert().map_err(told)?;
    Ok(Certificate { private_key_pem, chain_pem: certificate.certificate().to_owned() })
}

fn other_names(settings: &Settings) -> Vec<&str> {
    settings.names[1..].iter().map(String::as_str).collect()
}

/// The account of our key; the authority makes one where it knows none.
fn account(settings: &Settings) -> Result<Account, Failure> {
    let key = account_key(settings)?;
    let directory = Directory::from_url(DirectoryUrl::Other(&settings.directory_url)).map_err(told)?;
    let contact = format!("mailto:{}", settings.email);
    directory.load_account(&key, vec![contact]).map_err(told)
}

/// The account's key: the stored one, the one of the server before, or a new one, which is stored first.
fn account_key(settings: &Settings) -> Result<Zeroizing<String>, Failure> {
    let local = |reason: String| Failure::new(FailureKind::Local, &reason);
    let folder = &settings.folder;
    if let Some(pem) = files::read(folder, layout::ACCOUNT).map_err(local)? {
        return text(&pem)
            .ok_or_else(|| local(format!("{}: is no key", folder.join(layout::ACCOUNT).display())));
    }
    let old = files::read(folder, &layout::old_files(&settings.email, &settings.names[0]).account);
    let known = old.ok().flatten().filter(|pem| can_be_used(pem));
    let pem = match known.and_then(|pem| text(&pem)) {
        Some(pem) => pem,
        None => new_account_key().map_err(broken)?,
    };
    files::write(folder, layout::ACCOUNT, pem.as_bytes()).map_err(local)?;
    Ok(pem)
}

fn text(pem: &[u8]) -> Option<Zeroizing<String>> {
    std::str::from_utf8(pem).ok().map(|pem| Zeroizing::new(pem.to_owned()))
}

/// Whether acme-micro can use this key: it writes coordinates without leading zeros, which no authority takes.
fn can_be_used(pem: &[u8]) -> bool {
    EcKey::private_key_from_pem(pem).is_ok_and(|key| fills_its_coordinates(&key).unwrap_or(false))
}

fn new_account_key() -> Result<Zeroizing<String>, ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    loop {
        let key = EcKey::generate(&group)?;
        if fills_its_coordinates(&key)? {
            let pem = Buffer::new(key.private_key_to_pem()?);
            return Ok(text(&pem).expect("PEM is ASCII"));
        }
    }
}

fn fills_its_coordinates(key: &EcKey<Private>) -> Result<bool, ErrorStack> {
    let (mut x, mut y, mut context) = (BigNum::new()?, BigNum::new()?, BigNumContext::new()?);
    key.public_key().affine_coordinates(key.group(), &mut x, &mut y, &mut context)?;
    let is_p256 = key.group().curve_name() == Some(Nid::X9_62_PRIME256V1);
    Ok(is_p256 && x.num_bytes() == COORDINATE_BYTES && y.num_bytes() == COORDINATE_BYTES)
}

fn certificate_key(source: &KeySource) -> Result<PKey<Private>, Failure> {
    let curve =
        |nid| EcGroup::from_curve_name(nid).and_then(|g| EcKey::generate(&g)).and_then(PKey::from_ec_key);
    let key = match source {
        KeySource::Fresh(KeyType::P256) => curve(Nid::X9_62_PRIME256V1),
        KeySource::Fresh(KeyType::P384) => curve(Nid::SECP384R1),
        KeySource::Fresh(KeyType::Rsa2048) => openssl::rsa::Rsa::generate(2048).and_then(PKey::from_rsa),
        KeySource::Given(key) => PKey::private_key_from_pkcs8(key.expose()),
    };
    key.map_err(broken)
}

fn challenge(authorization: &Auth, kind: Kind, now: Timestamp) -> Result<Challenge, Failure> {
    let missing = || not_offered(authorization, kind);
    match kind {
        Kind::Http01 => {
            let offered = authorization.http_challenge().ok_or_else(missing)?;
            let key_authorization = offered.http_proof().map_err(told)?;
            let token = offered.http_token().to_owned();
            Ok(Challenge::Http01(HttpChallenge { token, key_authorization }))
        }
        Kind::TlsAlpn01 => {
            let offered = authorization.tls_alpn_challenge().ok_or_else(missing)?;
            let digest = offered.tls_alpn_proof().map_err(told)?;
            let name = authorization.domain_name().to_owned();
            let (certificate, private_key) = self_signed::acme_proof(&name, &digest, now)
                .map_err(|reason| Failure::new(FailureKind::Local, &reason))?;
            Ok(Challenge::TlsAlpn01(AlpnChallenge { name, certificate, private_key }))
        }
    }
}

fn not_offered(authorization: &Auth, kind: Kind) -> Failure {
    let name = authorization.domain_name();
    Failure::new(FailureKind::Refused, &format!("the authority offers no {} for {name}", kind.name()))
}

/// acme-micro's errors are texts with causes.
fn told(error: acme_micro::Error) -> Failure {
    if !webpki_roots::trusts() {
        return Failure::new(
            FailureKind::Unreachable,
            &format!("the authority took too long, or too many requests: {error:#}"),
        );
    }
    Failure::of_order(&format!("{error:#}"))
}

fn broken(error: ErrorStack) -> Failure {
    Failure::new(FailureKind::Local, &error.to_string())
}
