//! The URLs of databases. They hold passwords, and what is told of them holds none.
#![forbid(unsafe_code)]

use super::Kind;
use crate::secret::Secret;
use crate::store::StoreError;
use url::Url;

/// The URL without its password and its options, for logs: `scheme://user@host:port/database`.
pub fn describe(url: &Secret) -> String {
    let parsed = url.expose_str().and_then(|text| Url::parse(text).ok()).filter(|url| !is_misleading(url));
    let Some(url) = parsed else { return "a database whose URL cannot be read".to_owned() };
    let user = match url.username() {
        "" => String::new(),
        user => format!("{user}@"),
    };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{user}{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

/// Looks whether a URL can be one of this kind, as far as that can be seen without asking anybody.
pub fn check(url: &Secret, kind: Kind) -> Result<(), StoreError> {
    parse(url, kind.schemes()).map(drop)
}

/// Reads a URL with one of these schemes. The error says what is wrong, and shows nothing of it.
pub(super) fn parse(url: &Secret, schemes: &[&str]) -> Result<Url, StoreError> {
    let expected = format!("{}://user:password@host:port/database", schemes[0]);
    let wrong = |reason: &str| StoreError::Misconfigured(format!("its URL {reason}: {expected} is expected"));
    let text = url.expose_str().ok_or_else(|| wrong("is not UTF-8"))?;
    let url = Url::parse(text).map_err(|error| wrong(&format!("cannot be read ({error})")))?;
    if !schemes.contains(&url.scheme()) {
        return Err(wrong("is of another kind"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(wrong("names no host"));
    }
    if is_misleading(&url) {
        return Err(wrong("has an @ after its host; in a password, / ? # and @ are %2F %3F %23 and %40"));
    }
    Ok(url)
}

/// Whether a part of the password may have been read as something else.
fn is_misleading(url: &Url) -> bool {
    let after_host = [Some(url.path()), url.query(), url.fragment()];
    url.cannot_be_a_base() || after_host.into_iter().flatten().any(|part| part.contains('@'))
}

/// Removes an option from a URL, and gives its last value.
pub(super) fn take_option(url: &mut Url, name: &str) -> Option<String> {
    let options: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let (taken, left): (Vec<_>, Vec<_>) = options.into_iter().partition(|(key, _)| key == name);
    url.set_query(None);
    if !left.is_empty() {
        url.query_pairs_mut().extend_pairs(left);
    }
    taken.into_iter().next_back().map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(url: &str) -> Secret {
        Secret::copy_of(url.as_bytes())
    }

    #[test]
    fn passwords_are_not_shown() {
        for (url, shown) in [
            ("mysql://mysql_server:3306/kms", "mysql://mysql_server:3306/kms"),
            ("postgres://kms_user:hidden@pgsql-server:5432/kms", "postgres://kms_user@pgsql-server:5432/kms"),
            ("redis://localhost:6379", "redis://localhost:6379"),
            ("rediss://:hidden@[::1]:6379/3", "rediss://[::1]:6379/3"),
            ("mysql://u:hidden@h/d?ssl-mode=required&password=hidden", "mysql://u@h/d"),
            ("mysql://u:%2Fhidden%40@h/d", "mysql://u@h/d"),
        ] {
            assert_eq!(describe(&secret(url)), shown);
            assert!(parse(&secret(url), &["mysql", "postgres", "redis", "rediss"]).is_ok(), "{url}");
        }
        for url in [
            "mysql://u:12/hidden@h/d",
            "mysql://u:hidden/12@h/d",
            "mysql://u:12?hidden@h/d",
            "mysql://u:12#hidden@h/d",
            "mysql://u:hidden",
            "mysql:hidden",
            "u:hidden@h",
            "hidden",
            "mysql:///hidden@",
            "other://u:hidden@h",
        ] {
            let shown = describe(&secret(url));
            assert!(!shown.contains("hidden"), "{url}: {shown}");
            let error = parse(&secret(url), &["mysql"]).unwrap_err();
            assert!(!error.to_string().contains("hidden") && error.is_fatal(), "{url}: {error}");
        }
    }

    #[test]
    fn options_are_taken_out_of_a_url() {
        let mut url = Url::parse("mysql://h/d?a=1&b=%2F2&a=3").unwrap();
        assert_eq!(take_option(&mut url, "a").as_deref(), Some("3"));
        assert_eq!(url.as_str(), "mysql://h/d?b=%2F2");
        assert_eq!(take_option(&mut url, "c"), None);
        assert_eq!(take_option(&mut url, "b").as_deref(), Some("/2"));
        assert_eq!(url.as_str(), "mysql://h/d");
    }
}
