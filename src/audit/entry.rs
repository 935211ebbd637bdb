//! What is told of a decision. A line has these members after its number, in this order; those that there is nothing to say
//! for are left out.
//!
//! | member | |
//! |---|---|
//! | `time` | when it was decided |
//! | `request` | the request's identifier: the same in all lines of one batch |
//! | `peer` | address and port that it came from |
//! | `user`, `method` | who asked, and how that is known: `certificate`, `token`, `default` or `none` |
//! | `route` | the way that it came: `/kmip/2_1`, .. |
//! | `operation` | KMIP's name, or ours for what is no operation of KMIP |
//! | `named` | the object as the request named it, unless it was about this one and no other |
//! | `objects`, `more` | the objects that it was about; how many there are beside the first ones |
//! | `grantee`, `rights` | of a grant or its end |
//! | `status`, `result`, `reason` | of HTTP; `Success` or `Failed`; KMIP's result reason |
//!
//! Whatever a client has had a hand in is escaped as JSON, and cut with `[..]` where it is long.
#![forbid(unsafe_code)]

use crate::limits;
use crate::wire::json::{write_integer, write_string};
use std::io::Write;

/// What was decided about one request, or about one item of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// KMIP's name of the operation.
    pub operation: String,
    /// The object as the request named it.
    pub named: Option<String>,
    /// Whether it was about the very object that was named.
    pub is_about_named: bool,
    /// The objects that it was about beside that, the first ones.
    pub objects: Vec<String>,
    /// How many more there were.
    pub more: usize,
    /// Of a grant or its end: whose rights, and which.
    pub grant: Option<(String, Vec<&'static str>)>,
    /// KMIP's result reason of a refusal.
    pub reason: Option<&'static str>,
}

impl Decision {
    /// The beginning of a decision about this operation.
    pub fn on(operation: &str, named: Option<&str>) -> Decision {
        Decision { operation: bounded(operation), named: named.map(bounded), ..Decision::default() }
    }

    /// It is about no object, so far.
    pub fn forget_objects(&mut self) {
        self.is_about_named = false;
        self.objects.clear();
        self.more = 0;
    }

    fn is_about_named_alone(&self) -> bool {
        self.is_about_named && self.objects.is_empty() && self.more == 0
    }

    /// It is about this object, too.
    pub fn add_object(&mut self, uid: &str) {
        let is_named = self.named.as_deref() == Some(uid);
        if is_named && self.is_about_named || self.objects.iter().any(|known| known == uid) {
            return;
        }
        match self.objects.len() + usize::from(self.is_about_named) < limits::AUDIT_OBJECTS_MAX {
            true if is_named => self.is_about_named = true,
            true => self.objects.push(bounded(uid)),
            false => self.more += 1,
        }
    }
}

/// How it is known who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// By the certificate that the client has shown.
    Certificate,
    /// By a token.
    Token,
    /// Whoever says nothing is the default user.
    Default,
    /// It is not known.
    None,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Method::Certificate => "certificate",
            Method::Token => "token",
            Method::Default => "default",
            Method::None => "none",
        }
    }
}

/// What all decisions about one request share.
pub struct Occasion<'e> {
    /// When, as it is written.
    pub time: &'e str,
    /// Names the request: what all of this server have in common, and its number.
    pub request: (&'e str, u64),
    /// Where it came from.
    pub peer: &'e str,
    /// Who asks, where that is known.
    pub user: Option<&'e str>,
    /// How.
    pub method: Method,
    /// Which way it came.
    pub route: &'static str,
    /// The HTTP status of the answer, where there is one.
    pub status: Option<u16>,
}

impl Occasion<'_> {
    /// Appends the members of one line and a newline to `out`.
    pub fn write(&self, decision: &Decision, out: &mut Vec<u8>) {
        let (server, number) = self.request;
        // In pieces whose lengths the compiler knows: every request passes here.
        out.extend_from_slice(b"\"time\":\"");
        out.extend_from_slice(self.time.as_bytes());
        out.extend_from_slice(b"\",\"request\":\"");
        out.extend_from_slice(server.as_bytes());
        out.push(b'-');
        write_integer(number as i64, out);
        out.extend_from_slice(b"\",\"peer\":\"");
        out.extend_from_slice(self.peer.as_bytes());
        out.push(b'"');
        if let Some(user) = self.user {
            out.extend_from_slice(b",\"user\":");
            write_string(user, out);
        }
        out.extend_from_slice(b",\"method\":\"");
        out.extend_from_slice(self.method.name().as_bytes());
        out.extend_from_slice(b"\",\"route\":\"");
        out.extend_from_slice(self.route.as_bytes());
        out.extend_from_slice(b"\",\"operation\":");
        write_string(&decision.operation, out);
        if let Some(named) = &decision.named
            && !decision.is_about_named_alone()
        {
            out.extend_from_slice(b",\"named\":");
            write_string(named, out);
        }
        let about = decision.named.as_ref().filter(|_| decision.is_about_named).into_iter();
        let mut objects = about.chain(&decision.objects).map(String::as_str).peekable();
        if objects.peek().is_some() {
            out.extend_from_slice(b",\"objects\":");
            write_list(objects, out);
        }
        if decision.more > 0 {
            let _ = write!(out, ",\"more\":{}", decision.more);
        }
        if let Some((grantee, rights)) = &decision.grant {
            out.extend_from_slice(b",\"grantee\":");
            write_string(grantee, out);
            out.extend_from_slice(b",\"rights\":");
            write_list(rights.iter().copied(), out);
        }
        if let Some(status) = self.status {
            out.extend_from_slice(b",\"status\":");
            write_integer(i64::from(status), out);
        }
        let failed = decision.reason.is_some() || self.status.is_none_or(|status| status >= 400);
        if failed {
            out.extend_from_slice(b",\"result\":\"Failed\",\"reason\":\"");
            out.extend_from_slice(decision.reason.unwrap_or(reason_of(self.status)).as_bytes());
            out.extend_from_slice(b"\"\n");
        } else {
            out.extend_from_slice(b",\"result\":\"Success\"\n");
        }
    }
}

/// KMIP's result reason (KMIP 2.1 section 11.48) where nothing but the status is known.
fn reason_of(status: Option<u16>) -> &'static str {
    match status {
        None | Some(401) => "Authentication_Not_Successful",
        Some(403) => "Permission_Denied",
        Some(400 | 422) => "Invalid_Message",
        Some(404) => "Operation_Not_Supported",
        Some(413 | 503) => "Server_Limit_Exceeded",
        Some(_) => "General_Failure",
    }
}

fn write_list<'s>(texts: impl Iterator<Item = &'s str>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (i, text) in texts.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write_string(text, out);
    }
    out.push(b']');
}

/// As much of a text as is kept: names and identifiers that exist are no longer.
pub fn bounded(text: &str) -> String {
    if text.len() <= limits::NAME_BYTES_MAX {
        return text.to_owned();
    }
    let mut end = limits::NAME_BYTES_MAX;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}[..]", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(decision: &Decision, status: Option<u16>) -> String {
        let occasion = Occasion {
            time: "2026-11-23T17:56:40.007Z",
            request: ("0A", 1),
            peer: "127.0.0.1:4711",
            user: Some("alice\n\""),
            method: Method::Certificate,
            route: "/kmip/2_1",
            status,
        };
        let mut out = Vec::new();
        occasion.write(decision, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_decision_is_one_line_with_what_there_is_to_say() {
        let mut decision = Decision::on("Destroy", Some("[\"a\"]"));
        decision.add_object("k1");
        decision.add_object("k1");
        assert_eq!(
            written(&decision, Some(200)),
            concat!(
                r#""time":"2026-11-23T17:56:40.007Z","request":"0A-1","peer":"127.0.0.1:4711","user":"alice\n\"","#,
                r#""method":"certificate","route":"/kmip/2_1","operation":"Destroy","named":"[\"a\"]","objects":["k1"],"#,
                r#""status":200,"result":"Success""#,
                "\n"
            )
        );
        let mut about_named = Decision::on("Get", Some("k1"));
        about_named.add_object("k1");
        let line = written(&about_named, Some(200));
        assert!(line.contains(r#""operation":"Get","objects":["k1"],"status":200,"#), "{line}");
        let refused = Decision { reason: Some("Item_Not_Found"), ..Decision::on("Get", None) };
        assert!(written(&refused, Some(422)).ends_with(
            "\"operation\":\"Get\",\"status\":422,\"result\":\"Failed\",\"reason\":\"Item_Not_Found\"\n"
        ));
        let unknown = written(&Decision::on("Authenticate", None), None);
        assert!(
            unknown.ends_with("\"result\":\"Failed\",\"reason\":\"Authentication_Not_Successful\"\n"),
            "{unknown}"
        );
    }

    #[test]
    fn what_is_long_or_many_is_cut() {
        let long = "\u{20ac}".repeat(1000);
        let mut decision = Decision::on(&long, Some(&long));
        for n in 0..limits::AUDIT_OBJECTS_MAX + 5 {
            decision.add_object(&format!("{n}{}", "\u{1}".repeat(1000)));
        }
        assert_eq!((decision.objects.len(), decision.more), (limits::AUDIT_OBJECTS_MAX, 5));
        let mut about_named = Decision::on("ReKey", Some("k0"));
        (0..limits::AUDIT_OBJECTS_MAX + 5).for_each(|n| about_named.add_object(&format!("k{n}")));
        let line = written(&about_named, Some(200));
        assert!(line.contains(r#""objects":["k0","k1","k2","k3","k4","k5","k6","k7"],"more":5,"#), "{line}");

        let line = written(&decision, Some(200));
        assert!(line.contains("\u{20ac}[..]\",") && line.contains(",\"more\":5,"));
        assert!(line.len() < limits::AUDIT_LINE_BYTES_MAX / 2, "{}", line.len());
    }
}
