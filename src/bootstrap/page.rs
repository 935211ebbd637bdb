//! The page for the first start: one file without anything from outside.
#![forbid(unsafe_code)]

/// Its content, with its style and its script.
const PAGE: &str = include_str!("page.html");
/// Where the pin of the public key goes.
const PIN: &str = "{{PIN}}";

/// Nothing but what is in the page, and nobody who frames it or is told of it. The page holds no text of a peer.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; \
     form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// The page of a server whose certificate has this pin (base64).
pub fn html(pin: &str) -> String {
    PAGE.replace(PIN, pin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_asks_nobody_else() {
        let page = html("abc=");
        assert!(page.contains("sha256//abc=") && !page.contains("{{"));
        for outside in ["http://", "https://", "src=", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
    }
}
