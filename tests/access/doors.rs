//! The servers of the block `routes`: each asks for something else.

use super::super::support::certificates::Authority;
use super::super::support::issuer::{Key, claims, now};
use super::super::support::{Scratch, Server, tcp, tls};
use super::{Answer, Users};
use std::collections::HashMap;
use std::io::{BufReader, Read, Write};

/// How the columns of the block are headed: a server, and what a client shows it.
pub const COLUMNS: [(&str, &str); 13] = [
    ("none", "ok"),
    ("cert", "ok"),
    ("cert", "no-cert"),
    ("cert", "other-cert"),
    ("token", "ok"),
    ("token", "no-token"),
    ("token", "expired"),
    ("token", "unknown"),
    ("token", "forged"),
    ("both", "ok"),
    ("both", "no-cert"),
    ("both", "no-token"),
    ("both", "expired"),
];

/// The servers of the block, and what their clients have.
pub struct Doors {
    authority: Authority,
    strangers: Authority,
    users: Users,
    servers: HashMap<&'static str, Server>,
    _scratch: Scratch,
}

impl Doors {
    pub fn open() -> Doors {
        let (authority, strangers, users, scratch) =
            (Authority::new(), Authority::new(), Users::new(), Scratch::new());
        authority.server("server", "P-256");
        authority.client("alice");
        strangers.client("mallory");
        let (p12, roots) = (authority.export("server", "p", &[]), authority.file("root.pem"));
        let certificates =
            ["--https-p12-file", &p12, "--https-p12-password", "p", "--authority-cert-file", &roots]
                .map(str::to_owned)
                .to_vec();
        let servers = [
            ("none", vec![]),
            ("cert", certificates.clone()),
            ("token", users.options()),
            ("both", [certificates, users.options()].concat()),
        ];
        let servers = servers.map(|(name, options)| {
            let folder = scratch.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            let server = Server::start(&folder, &[&options[..], &["--log-level", "debug"]].concat());
            if options.contains(&"--jwt-issuer-uri") {
                server.wait_for_log("were fetched");
            }
            (name, server)
        });
        Doors { authority, strangers, users, servers: HashMap::from(servers), _scratch: scratch }
    }

    /// What a client that shows this is answered; `None` where it is not let in.
    pub fn ask(
        &self,
        (server, shown): (&str, &str),
        request: impl Fn(Option<&str>) -> Vec<u8>,
    ) -> Option<Answer> {
        let issuer = self.users.issuer.issuer();
        let good = claims(&issuer, "alice");
        let token = match shown {
            "no-token" => None,
            "expired" => {
                let hour = 3600;
                let (begin, end) = (now() - 2 * hour, now() - hour);
                Some(self.users.key.sign(&format!(
                    r#"{{"iss":"{issuer}","sub":"alice","aud":"kms","iat":{begin},"exp":{end}}}"#
                )))
            }
            "unknown" => Some(self.users.key.sign(&claims("https://other.example", "alice"))),
            "forged" => Some(Key::new("k", "EdDSA").sign(&good)),
            _ => Some(self.users.key.sign(&good)),
        };
        let has_tokens = ["token", "both"].contains(&server);
        let request = request(token.as_deref().filter(|_| has_tokens));
        let is_head_only = request.starts_with(b"HEAD ");
        let server = &self.servers[server];
        if !server.tls {
            return say(tcp(server.port), &request, is_head_only);
        }
        let identity = match shown {
            "no-cert" => None,
            "other-cert" => Some((&self.strangers, "mallory")),
            _ => Some((&self.authority, "alice")),
        };
        say(tls::connect_as(&self.authority, identity, server), &request, is_head_only)
    }
}

pub fn say(mut stream: impl Read + Write, request: &[u8], is_head_only: bool) -> Option<Answer> {
    stream.write_all(request).ok()?;
    Answer::read(&mut BufReader::new(stream), is_head_only)
}
