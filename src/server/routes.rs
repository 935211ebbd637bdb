//! Methods and paths, and what of a request's head is still needed when its body is there.
#![forbid(unsafe_code)]

use super::event::Listener;
use super::tenants;
use crate::acme::challenge::HTTP_PATH;
use crate::kms::access::Direction;
use crate::kms::policy::Principal;
use crate::pipeline::Endpoint;
use crate::store::database::Kind;
use crate::store::tenants::Tenant;
use crate::wire::http::Version;
use crate::wire::http::head::{Head, Method};
use crate::wire::http::target::decode_segment;
use crate::wire::multipart;

/// What a request wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `GET /version`.
    Version,
    /// `GET /health` and its two questions.
    Health(Question),
    /// `OPTIONS` of anything, but for CORS preflights: those are answered by their heads.
    Options,
    /// What needs an identity and the store.
    Kms(Endpoint),
    /// `POST /new_database`.
    NewDatabase,
    /// On the bootstrap server.
    Bootstrap(HandOver),
    /// `GET /tee/attestation_report`, with its query.
    AttestationReport(Option<String>),
    /// `GET /tee/sgx_enclave_public_key`.
    EnclavePublicKey,
    /// `GET /metrics`, on its own listener.
    Metrics,
    /// On the listener for an authority's proofs: a file that it may look for.
    Proof(String),
    /// On that listener: anything else is at the same place by HTTPS. The host as the client knows it, and path and query.
    Elsewhere(Option<String>, String),
    /// Nothing here, or nothing for this method.
    Unknown,
    /// A method that nothing here is for.
    Unimplemented,
}

/// What the owner hands over, or asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandOver {
    /// `GET /`: the page.
    Page,
    /// `GET /health`.
    Health,
    /// `GET /health/live`.
    Live,
    /// `POST /sqlite`.
    Database,
    /// `POST /sqlite-enc`.
    Tenants,
    /// `POST /mysql`, `/postgresql` or `/redis-findex`.
    Remote(Kind),
    /// `POST /pkcs12`.
    Pkcs12,
    /// `POST /pkcs12-password`.
    Password,
    /// `POST /start`.
    Start,
}

impl HandOver {
    /// Whether whoever comes is answered, the owner or not.
    pub fn is_for_everybody(self) -> bool {
        matches!(self, HandOver::Page | HandOver::Health | HandOver::Live)
    }
}

/// What a health check asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Does the server run?
    Live,
    /// Would it serve a request?
    Ready,
}

impl Route {
    /// Whether whoever asks for it must show who it is, where that is by tokens. Not for checks of health; not for quotes, since a
    /// client verifies those before it shows its token; and what has other ways to know its peer has them.
    pub fn needs_identity(&self) -> bool {
        match self {
            Route::Version | Route::Kms(_) | Route::NewDatabase | Route::Unknown | Route::Unimplemented => {
                true
            }
            Route::Bootstrap(hand_over) => !hand_over.is_for_everybody(),
            Route::Health(_)
            | Route::Options
            | Route::AttestationReport(_)
            | Route::EnclavePublicKey
            | Route::Metrics
            | Route::Proof(_)
            | Route::Elsewhere(..) => false,
        }
    }

    /// The route of a request.
    pub fn of(method: Method, path: &str, query: Option<&str>) -> Route {
        match (method, path) {
            (Method::Post, "/kmip/2_1") => Route::Kms(Endpoint::Kmip),
            (Method::Post, "/kmip") => Route::Kms(Endpoint::KmipMessage),
            (Method::Get | Method::Head, "/version") => Route::Version,
            (Method::Get | Method::Head, "/health" | "/health/ready") => Route::Health(Question::Ready),
            (Method::Get | Method::Head, "/health/live") => Route::Health(Question::Live),
            (Method::Post, "/new_database") => Route::NewDatabase,
            (Method::Post, "/access/grant") => Route::Kms(Endpoint::ChangeAccess(Direction::Grant)),
            (Method::Post, "/access/revoke") => Route::Kms(Endpoint::ChangeAccess(Direction::Revoke)),
            // The old server's documentation knows its list as /objects/owned.
            (Method::Get | Method::Head, "/access/owned" | "/objects/owned") => {
                Route::Kms(Endpoint::ListOwned)
            }
            (Method::Get | Method::Head, "/access/obtained") => Route::Kms(Endpoint::ListObtained),
            (Method::Get | Method::Head, "/access/create") => Route::Kms(Endpoint::MayMake),
            (Method::Get | Method::Head, "/access/privileged") => Route::Kms(Endpoint::IsPrivileged),
            // The old server's documentation knows it as /quote too.
            (Method::Get | Method::Head, "/tee/attestation_report" | "/quote") => {
                Route::AttestationReport(query.map(str::to_owned))
            }
            (Method::Get | Method::Head, "/tee/sgx_enclave_public_key") => Route::EnclavePublicKey,
            (Method::Get | Method::Head, path) => {
                match path.strip_prefix("/access/list/").map(decode_segment) {
                    Some(Some(uid)) if !uid.is_empty() => Route::Kms(Endpoint::ListAccess(uid.into_owned())),
                    _ => Route::Unknown,
                }
            }
            (Method::Options, _) => Route::Options,
            _ => Route::Unknown,
        }
    }

    /// The route of a request on the bootstrap server.
    fn of_bootstrap(method: Method, path: &str) -> Route {
        Route::Bootstrap(match (method, path) {
            (Method::Get | Method::Head, "/") => HandOver::Page,
            (Method::Get | Method::Head, "/health" | "/health/ready") => HandOver::Health,
            (Method::Get | Method::Head, "/health/live") => HandOver::Live,
            (Method::Post, "/sqlite") => HandOver::Database,
            // The old server's documentation has both spellings.
            (Method::Post, "/sqlite-enc" | "/sqlite-ec") => HandOver::Tenants,
            (Method::Post, "/postgresql") => HandOver::Remote(Kind::PostgreSql),
            (Method::Post, "/mysql") => HandOver::Remote(Kind::MySql),
            (Method::Post, "/redis-findex") => HandOver::Remote(Kind::Redis),
            (Method::Post, "/pkcs12") => HandOver::Pkcs12,
            (Method::Post, "/pkcs12-password") => HandOver::Password,
            (Method::Post, "/start") => HandOver::Start,
            _ => return Route::Unknown,
        })
    }

    /// The route of a request on the listener for proofs.
    fn of_challenge(method: Method, head: &Head<'_>) -> Route {
        let is_read = matches!(method, Method::Get | Method::Head);
        if head.path.starts_with(HTTP_PATH) {
            return if is_read { Route::Proof(head.path.to_owned()) } else { Route::Unknown };
        }
        if !head.path.starts_with('/') {
            return Route::Unknown;
        }
        // Without the port, which is that of plain HTTP.
        let host = head.host.map(|host| match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        });
        let target = match head.query {
            Some(query) => format!("{}?{query}", head.path),
            None => head.path.to_owned(),
        };
        Route::Elsewhere(host.map(str::to_ascii_lowercase), target)
    }
}

/// Who asks, as far as the head of a request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// It says nothing that counts: whoever the connection is of.
    OfConnection,
    /// The user that its token names.
    OfToken(Principal),
    /// Nobody: it should have a good token, and has none.
    Refused,
}

/// A request whose head was read.
pub struct Exchange {
    /// What it wants.
    pub route: Route,
    /// Whether the connection lives on after the answer.
    pub keep_alive: bool,
    /// Whether only the head of the answer is wanted.
    pub head_only: bool,
    /// Who asks, as far as its token says.
    pub identity: Identity,
    /// Which HTTP the peer speaks.
    pub version: Version,
    /// Where the page came from that asks, if a browser does.
    pub origin: Option<Box<str>>,
    /// The boundary of a form, on the bootstrap server.
    pub boundary: Option<Box<str>>,
    /// The methods that the path takes, where that is of interest: none is at a path with nothing.
    pub allow: Option<&'static str>,
    /// In whose database, or the text of the answer 401, where every tenant has one.
    pub tenant: Option<Result<Box<Tenant>, &'static str>>,
}

impl Exchange {
    /// What is needed of this head; `has_tenants` says whether every tenant has a database.
    pub fn of(head: &Head<'_>, listener: Listener, has_tenants: bool) -> Exchange {
        let route_of = |method| match listener {
            Listener::Main => match Route::of(method, head.path, head.query) {
                Route::Kms(Endpoint::KmipMessage) if is_binary(head.content_type) => {
                    Route::Kms(Endpoint::KmipBinary)
                }
                route => route,
            },
            Listener::Challenge => Route::of_challenge(method, head),
            Listener::Bootstrap => Route::of_bootstrap(method, head.path),
            Listener::Metrics => match (method, head.path) {
                (Method::Get | Method::Head, "/metrics") => Route::Metrics,
                _ => Route::Unknown,
            },
        };
        let (route, allow) = match route_of(head.method) {
            Route::Unknown if head.method == Method::Other => (Route::Unimplemented, None),
            Route::Options if head.path == "*" => (Route::Options, Some("GET, HEAD, POST, OPTIONS")),
            route @ (Route::Unknown | Route::Options) => (route, allowed(route_of)),
            route => (route, None),
        };
        let needs_tenant = has_tenants && matches!(route, Route::Kms(_));
        Exchange {
            tenant: needs_tenant.then(|| tenants::named_by(head.database_secret)),
            route,
            allow,
            identity: Identity::OfConnection,
            boundary: head
                .content_type
                .filter(|_| listener == Listener::Bootstrap)
                .and_then(|content_type| multipart::boundary(content_type).map(Into::into)),
            keep_alive: head.keep_alive,
            head_only: head.method == Method::Head,
            version: head.version,
            // No other page may talk to the bootstrap server, or read what is counted.
            origin: head
                .origin
                .filter(|_| matches!(listener, Listener::Main | Listener::Challenge))
                .map(Into::into),
        }
    }
}

/// The methods whose requests have a route (`Allow`, RFC 9110 section 10.2.1).
fn allowed(route_of: impl Fn(Method) -> Route) -> Option<&'static str> {
    let takes = |method| route_of(method) != Route::Unknown;
    Some(match (takes(Method::Get), takes(Method::Post), takes(Method::Options)) {
        (true, _, true) => "GET, HEAD, OPTIONS",
        (true, _, false) => "GET, HEAD",
        (false, true, true) => "POST, OPTIONS",
        (false, true, false) => "POST",
        (false, false, _) => return None,
    })
}

/// Whether the media type is that of binary TTLV. Whatever else there is, or nothing, is read as JSON.
fn is_binary(content_type: Option<&str>) -> bool {
    content_type.is_some_and(|content_type| {
        let media_type = content_type.split(';').next().unwrap_or_default();
        media_type.trim().eq_ignore_ascii_case("application/octet-stream")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_methods_find_their_route() {
        let kms = Route::Kms;
        let of = |method, path| Route::of(method, path, Some("nonce=x"));
        assert_eq!(of(Method::Post, "/kmip/2_1"), kms(Endpoint::Kmip));
        assert_eq!(of(Method::Post, "/kmip"), kms(Endpoint::KmipMessage));
        assert_eq!(of(Method::Get, "/kmip/2_1"), Route::Unknown);
        assert_eq!(of(Method::Post, "/new_database"), Route::NewDatabase);
        assert_eq!(of(Method::Get, "/new_database"), Route::Unknown);
        assert_eq!(of(Method::Get, "/objects/owned"), kms(Endpoint::ListOwned));
        assert_eq!(of(Method::Get, "/access/list/a%2Fb"), kms(Endpoint::ListAccess("a/b".into())));
        assert_eq!(of(Method::Get, "/access/list/"), Route::Unknown);
        assert_eq!(of(Method::Options, "/anything"), Route::Options);
        assert_eq!(of(Method::Head, "/version"), Route::Version);
        assert_eq!(of(Method::Get, "/quote"), Route::AttestationReport(Some("nonce=x".into())));
    }
}
