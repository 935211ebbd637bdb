//! The options of the certificates bot.
#![forbid(unsafe_code)]

use super::options::{self as o, Spec};
use super::sources::{Surroundings, Values};
use super::{ConfigError, Warnings, data_folder, invalid, number, salt};
use crate::acme::challenge::Kind;
use crate::acme::{ChallengeChoice, KeySource, KeyType, LETS_ENCRYPT, LETS_ENCRYPT_STAGING, Settings, names};

/// Bytes of an e-mail address (RFC 5321 section 4.5.3.1.3).
const EMAIL_BYTES_MAX: usize = 254;

/// How certificates are ordered.
pub struct Certbot {
    /// What the operator wants.
    pub settings: Settings,
    /// Where http-01 is answered.
    pub http_port: u16,
    /// The salt, if the key is to be derived from the platform: then it takes the place of the one in the settings.
    pub key_salt: Option<Vec<u8>>,
}

/// The certificates bot, if one is asked for.
pub(super) fn find(
    values: &Values,
    surroundings: &Surroundings<'_>,
    warnings: &mut Warnings,
) -> Result<Option<Certbot>, ConfigError> {
    let key_salt = salt(values, &o::CERTBOT_USE_TEE_KEY)?;
    refuse_what_cannot_be(values)?;
    if !values.is_set(&o::USE_CERTBOT) {
        for spec in
            [&o::CERTBOT_HOSTNAME, &o::CERTBOT_EMAIL, &o::CERTBOT_DIRECTORY_URL, &o::CERTBOT_USE_TEE_KEY]
        {
            if values.get(spec).is_some() {
                warnings.push(format!("--{} has no effect without --use-certbot", spec.name));
            }
        }
        return Ok(None);
    }
    let challenge = match values.text(&o::CERTBOT_CHALLENGE) {
        "auto" => ChallengeChoice::Auto,
        name => match Kind::named(name) {
            Some(kind) => ChallengeChoice::Only(kind),
            None => {
                return Err(invalid(values, &o::CERTBOT_CHALLENGE, "must be tls-alpn-01, http-01 or auto"));
            }
        },
    };
    let key_type = match values.text(&o::CERTBOT_KEY_TYPE) {
        "p256" => KeyType::P256,
        "p384" => KeyType::P384,
        "rsa2048" => KeyType::Rsa2048,
        _ => return Err(invalid(values, &o::CERTBOT_KEY_TYPE, "must be p256, p384 or rsa2048")),
    };
    if key_salt.is_some() && key_type != KeyType::P256 {
        return Err(invalid(values, &o::CERTBOT_KEY_TYPE, "keys from the platform are of type p256"));
    }
    let names = required(values, &o::CERTBOT_HOSTNAME, "the name of this server")?;
    let settings = Settings {
        names: names::parse(names).map_err(|reason| invalid(values, &o::CERTBOT_HOSTNAME, &reason))?,
        email: email(values)?,
        directory_url: directory_url(values)?,
        challenge,
        key: KeySource::Fresh(key_type),
        folder: data_folder(values, &o::CERTBOT_SSL_PATH, surroundings)?,
        ca_root: values.get(&o::CERTBOT_CA_ROOT).map(|given| surroundings.working_folder.join(&given.text)),
    };
    Ok(Some(Certbot { settings, http_port: number(values, &o::CERTBOT_HTTP_PORT, 1, u16::MAX)?, key_salt }))
}

/// What the options name, but this server cannot do.
fn refuse_what_cannot_be(values: &Values) -> Result<(), ConfigError> {
    if values.get(&o::CERTBOT_PROFILE).is_some() {
        let reason = "the ACME library in use cannot ask for a profile; remove the option";
        return Err(invalid(values, &o::CERTBOT_PROFILE, reason));
    }
    Ok(())
}

fn required<'v>(values: &'v Values, spec: &Spec, what: &str) -> Result<&'v str, ConfigError> {
    match values.get(spec) {
        Some(given) => Ok(&given.text),
        None => Err(ConfigError(format!("--use-certbot needs --{}: {what}", spec.name))),
    }
}

fn email(values: &Values) -> Result<String, ConfigError> {
    let email = required(values, &o::CERTBOT_EMAIL, "where the authority may write to")?;
    let is_email = email.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty())
        && email.len() <= EMAIL_BYTES_MAX
        && !email.contains(|c: char| c.is_control() || c.is_whitespace() || c == ',');
    if is_email {
        Ok(email.to_owned())
    } else {
        Err(invalid(values, &o::CERTBOT_EMAIL, "is no e-mail address"))
    }
}

fn directory_url(values: &Values) -> Result<String, ConfigError> {
    match (values.get(&o::CERTBOT_DIRECTORY_URL), values.is_set(&o::CERTBOT_STAGING)) {
        (Some(_), true) => Err(ConfigError(
            "--certbot-directory-url and --certbot-staging are both given: give one of them".into(),
        )),
        (None, true) => Ok(LETS_ENCRYPT_STAGING.to_owned()),
        (None, false) => Ok(LETS_ENCRYPT.to_owned()),
        (Some(given), false) => {
            let is_url = given.text.strip_prefix("https://").is_some_and(|rest| !rest.is_empty())
                && given.text.bytes().all(|byte| byte.is_ascii_graphic());
            let reason = "must be a URL that begins with https://";
            is_url
                .then(|| given.text.clone())
                .ok_or_else(|| invalid(values, &o::CERTBOT_DIRECTORY_URL, reason))
        }
    }
}
