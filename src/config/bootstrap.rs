//! The options of the bootstrap server.
#![forbid(unsafe_code)]

use super::options as o;
use super::secrets::read_secret;
use super::sources::{Surroundings, Values};
use super::{ConfigError, Warnings, invalid, number};
use crate::bootstrap::subject::Subject;
use crate::secret::Secret;
use std::time::Duration;

/// Bytes that a token must have at least: it is guessed over the network.
const TOKEN_BYTES_MIN: usize = 16;

/// How the owner is waited for.
pub struct Bootstrap {
    /// Where.
    pub port: u16,
    /// Of its certificate.
    pub subject: Subject,
    /// How long its certificate is valid.
    pub expires_after: Duration,
    /// Who the owner is.
    pub token: Token,
    /// How long the owner has time, if not for ever.
    pub window: Option<Duration>,
    /// Whether the platform must vouch for its certificate.
    pub ensure_ra_tls: bool,
}

/// How the owner is known.
pub enum Token {
    /// Not at all: whoever comes first.
    None,
    /// By this token.
    Given(Secret),
    /// By one that the server makes and prints.
    Generated,
}

/// The bootstrap server, if there is to be one.
pub(super) fn find(
    values: &Values,
    surroundings: &Surroundings<'_>,
    warnings: &mut Warnings,
) -> Result<Option<Bootstrap>, ConfigError> {
    let ensure_ra_tls = values.is_set(&o::ENSURE_RA_TLS);
    if !values.is_set(&o::USE_BOOTSTRAP_SERVER) {
        if ensure_ra_tls {
            let needs = "--ensure-ra-tls needs --use-bootstrap-server: the platform vouches for the certificate of that";
            return Err(ConfigError(needs.into()));
        }
        return Ok(None);
    }
    let subject = Subject::parse(values.text(&o::BOOTSTRAP_SERVER_SUBJECT))
        .map_err(|reason| invalid(values, &o::BOOTSTRAP_SERVER_SUBJECT, &reason))?;
    let subject = match values.get(&o::BOOTSTRAP_SERVER_COMMON_NAME) {
        None => subject,
        Some(given) if (1..=64).contains(&given.text.len()) => subject.with_common_name(&given.text),
        Some(_) => {
            return Err(invalid(values, &o::BOOTSTRAP_SERVER_COMMON_NAME, "a common name has 1 to 64 bytes"));
        }
    };
    let token = token(values, surroundings)?;
    let shows_identity =
        [&o::AUTHORITY_CERT_FILE, &o::JWT_ISSUER_URI].iter().any(|spec| values.get(spec).is_some());
    if matches!(token, Token::None) && !shows_identity {
        warnings.push(
            "whoever reaches the bootstrap server first provisions it: give it a token by --bootstrap-token-file, or \
             --bootstrap-token=generate"
                .into(),
        );
    }
    let days: u32 = number(values, &o::BOOTSTRAP_SERVER_EXPIRATION_DAYS, 1, 36_500)?;
    let window: u64 = match values.get(&o::BOOTSTRAP_WINDOW) {
        None => 0,
        Some(_) => number(values, &o::BOOTSTRAP_WINDOW, 1, 86_400 * 365)?,
    };
    Ok(Some(Bootstrap {
        port: number(values, &o::BOOTSTRAP_SERVER_PORT, 0, u16::MAX)?,
        subject,
        expires_after: Duration::from_secs(u64::from(days) * 86_400),
        token,
        window: (window > 0).then(|| Duration::from_secs(window)),
        ensure_ra_tls,
    }))
}

fn token(values: &Values, surroundings: &Surroundings<'_>) -> Result<Token, ConfigError> {
    match (values.get(&o::BOOTSTRAP_TOKEN), values.get(&o::BOOTSTRAP_TOKEN_FILE)) {
        (Some(_), Some(_)) => Err(ConfigError(
            "--bootstrap-token and --bootstrap-token-file are both given: give one of them".into(),
        )),
        (None, None) => Ok(Token::None),
        (Some(given), None) if given.text == "generate" => Ok(Token::Generated),
        // Not shown: it may be a token.
        (Some(_), None) => Err(ConfigError(
            "--bootstrap-token must be 'generate'; a token of your own goes into a file: --bootstrap-token-file".into(),
        )),
        (None, Some(file)) => {
            let path = surroundings.working_folder.join(&file.text);
            let wrong = |reason: &str| ConfigError(format!("--bootstrap-token-file: {}: {reason}", path.display()));
            let token = read_secret(&path).map_err(|reason| wrong(&reason))?;
            if token.expose().len() < TOKEN_BYTES_MIN {
                return Err(wrong(&format!("a token has at least {TOKEN_BYTES_MIN} bytes")));
            }
            Ok(Token::Given(token))
        }
    }
}
