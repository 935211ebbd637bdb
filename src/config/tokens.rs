//! Whose tokens are taken: issuers, their keys and their audiences, which belong together by their places.
#![forbid(unsafe_code)]

use super::options::{self as o, Spec};
use super::sources::{Surroundings, Values};
use super::{ConfigError, Warnings, invalid};
use crate::auth::{Source, Trusted};
use crate::limits::TOKEN_ISSUERS_MAX;
use std::sync::Arc;
use url::{Host, Url};

/// The issuers; none where requests need no token. `is_plain` says whether tokens would travel in the clear.
pub fn find(
    values: &Values,
    surroundings: &Surroundings<'_>,
    is_plain: bool,
    warnings: &mut Warnings,
) -> Result<Vec<Trusted>, ConfigError> {
    let Some(issuers) = list(values, &o::JWT_ISSUER_URI) else {
        for spec in [&o::JWKS_URI, &o::JWT_AUDIENCE, &o::JWKS_CA_ROOT] {
            if values.get(spec).is_some() {
                return Err(invalid(values, spec, "is of no use without --jwt-issuer-uri: add that option"));
            }
        }
        return Ok(Vec::new());
    };
    let refused = |spec: &Spec, reason: &str| Err(invalid(values, spec, reason));
    for (i, issuer) in issuers.iter().enumerate() {
        if issuer.is_empty() || issuers[..i].contains(issuer) {
            return refused(&o::JWT_ISSUER_URI, "must be different URIs, none of them empty");
        }
    }
    if issuers.len() > TOKEN_ISSUERS_MAX {
        return refused(&o::JWT_ISSUER_URI, &format!("must be {TOKEN_ISSUERS_MAX} at most"));
    }
    let each = |spec: &Spec| match list(values, spec) {
        None => Ok(vec![""; issuers.len()]),
        Some(given) if given.len() == issuers.len() => Ok(given),
        Some(_) => {
            let reason = "must be given once for each --jwt-issuer-uri, in the same order, perhaps empty";
            Err(invalid(values, spec, reason))
        }
    };
    let (key_urls, audiences) = (each(&o::JWKS_URI)?, each(&o::JWT_AUDIENCE)?);
    if is_plain {
        warnings.push(
            "tokens travel in the clear: add --https-p12-file or --use-certbot, or put HTTPS in front".into(),
        );
    }
    let ca_root = values.get(&o::JWKS_CA_ROOT).map(|given| surroundings.working_folder.join(&given.text));
    let mut trusted = Vec::with_capacity(issuers.len());
    for ((issuer, url), audience) in issuers.into_iter().zip(key_urls).zip(audiences) {
        let url = match url {
            "" => url_of_issuer(issuer).map_err(|reason| invalid(values, &o::JWT_ISSUER_URI, reason))?,
            url => explicit_url(url, warnings).map_err(|reason| invalid(values, &o::JWKS_URI, reason))?,
        };
        if audience.is_empty() {
            warnings.push(format!("tokens of {issuer} are taken whomever they are for: add --jwt-audience"));
        }
        trusted.push(Trusted {
            issuer: issuer.to_owned(),
            audience: (!audience.is_empty()).then(|| audience.to_owned()),
            source: Arc::new(Source { url, ca_root: ca_root.clone() }),
        });
    }
    Ok(trusted)
}

fn list<'v>(values: &'v Values, spec: &Spec) -> Option<Vec<&'v str>> {
    values.get(spec).map(|given| given.text.split(',').map(str::trim).collect())
}

/// Where the keys are of an issuer of which nothing else is said.
fn url_of_issuer(issuer: &str) -> Result<String, &'static str> {
    let url = Url::parse(issuer).map_err(|_| "is no URL: say with --jwks-uri where its keys are")?;
    let is_safe = url.scheme() == "https" || url.scheme() == "http" && is_on_this_machine(&url);
    if !is_safe || !url.has_host() {
        return Err("must begin with https://, or say with --jwks-uri where its keys are");
    }
    Ok(format!("{}/.well-known/jwks.json", issuer.trim_end_matches('/')))
}

fn explicit_url(text: &str, warnings: &mut Warnings) -> Result<String, &'static str> {
    let url = Url::parse(text).ok().filter(Url::has_host);
    let url = url.filter(|url| matches!(url.scheme(), "https" | "http"));
    let url =
        url.ok_or("must be a URL that begins with https:// or, for what is asked in the clear, http://")?;
    if url.scheme() == "http" && !is_on_this_machine(&url) {
        warnings.push(format!(
            "whoever is in between can make tokens: {text} is asked in the clear; use https://"
        ));
    }
    Ok(text.to_owned())
}

fn is_on_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
