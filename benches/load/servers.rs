//! The servers: ours, and the reference.

use crate::Bench;
use crate::support::{Scratch, Server, free_port, keyway, keyway_at, wait_for};
use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The name of the certificate that all servers show.
pub const CERTIFICATE: &str = "server";

const PASSWORD: &str = "benchmark";

/// Our server.
pub struct Keyway {
    pub server: Server,
    // Removed after the server has ended.
    folder: Scratch,
}

impl Keyway {
    /// Starts one, pinned to its core.
    pub fn start(bench: &Bench, tls: bool) -> Keyway {
        Keyway::start_serving(bench, tls, &[])
    }

    /// Starts one with these arguments, pinned to its core.
    pub fn start_serving(bench: &Bench, tls: bool, others: &[&str]) -> Keyway {
        let keyway = Keyway::spawn(bench, Path::new(env!("CARGO_BIN_EXE_keyway")), tls, others);
        bench.cores.pin_server(keyway.server.pid());
        keyway
    }

    /// Starts another build with TLS and these arguments, pinned to its core.
    pub fn start_program(bench: &Bench, program: &Path, others: &[&str]) -> Keyway {
        let keyway = Keyway::spawn(bench, program, true, others);
        bench.cores.pin_server(keyway.server.pid());
        keyway
    }

    /// Starts one in the clear with these arguments, pinned to its core.
    pub fn start_with(bench: &Bench, arguments: &[&str]) -> Keyway {
        Keyway::start_on(bench, Scratch::new(), arguments)
    }

    /// Starts one in the clear with these arguments on the database that is in a folder, pinned to its core.
    pub fn start_on(bench: &Bench, folder: Scratch, arguments: &[&str]) -> Keyway {
        let keyway = Keyway { server: Server::spawn(folder.path(), keyway(arguments)), folder };
        bench.cores.pin_server(keyway.server.pid());
        keyway
    }

    /// Ends it in order; its folder is there for the next.
    pub fn end(self) -> Scratch {
        self.server.terminate();
        self.folder
    }

    /// Starts another build in the clear, that shares the core of the clients: nothing is done to it between its start and
    /// its first answer.
    pub fn start_unpinned(bench: &Bench, program: &Path) -> Keyway {
        Keyway::spawn(bench, program, false, &[])
    }

    fn spawn(bench: &Bench, program: &Path, tls: bool, others: &[&str]) -> Keyway {
        let folder = Scratch::new();
        let bundle = bench.authority.file("server.p12");
        if !fs::exists(&bundle).unwrap() {
            bench.authority.export_to(&bundle, CERTIFICATE, PASSWORD, &[]);
        }
        let tls_arguments = ["--https-p12-file", &bundle, "--https-p12-password", PASSWORD];
        let arguments = [if tls { &tls_arguments[..] } else { &[] }, others].concat();
        let command = keyway_at(program, &arguments);
        Keyway { server: Server::spawn(folder.path(), command), folder }
    }
}

/// An nginx that answers every path with the body that was given for it.
pub struct Nginx {
    child: Child,
    pub port: u16,
    pub tls_port: u16,
    _folder: Scratch,
}

impl Nginx {
    /// Starts one with the answer of each path.
    pub fn start(bench: &Bench, answers: &[(&str, &str)]) -> Nginx {
        let folder = Scratch::new();
        let (port, tls_port) = (free_port(), free_port());
        let locations: String = answers
            .iter()
            .map(|(path, body)| {
                assert!(!body.contains(['\'', '$', '\\']), "nginx would read more than text in {body}");
                format!("location = {path} {{ default_type application/json; return 200 '{body}'; }}\n")
            })
            .collect();
        let (chain, key) = (bench.authority.file("server.fullchain.pem"), bench.authority.file("server.key"));
        let configuration = format!(
            "daemon off; master_process off; worker_processes 1;
             pid {folder}/nginx.pid; error_log {folder}/error.log crit;
             events {{ worker_connections 4096; }}
             http {{
               access_log off; keepalive_requests 1000000000; keepalive_timeout 1h; server_tokens off;
               client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
               fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
               server {{ listen 127.0.0.1:{port}; {locations} }}
               server {{
                 listen 127.0.0.1:{tls_port} ssl; {locations}
                 ssl_certificate {chain}; ssl_certificate_key {key};
                 ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384;
                 ssl_ecdh_curve X25519; ssl_session_cache off;
               }}
             }}\n",
            folder = folder.path().display(),
        );
        let file = folder.file("nginx.conf");
        fs::write(&file, configuration).unwrap();
        let mut command = Command::new("nginx");
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/sbin")).args(["-c", &file, "-e", &folder.file("error.log")]);
        let child = command.stdin(Stdio::null()).spawn().unwrap();
        wait_for("nginx", || TcpStream::connect(("127.0.0.1", tls_port)).ok());
        bench.cores.pin_server(child.id());
        Nginx { child, port, tls_port, _folder: folder }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn url(&self, tls: bool, path: &str) -> String {
        let (scheme, port) = if tls { ("https", self.tls_port) } else { ("http", self.port) };
        format!("{scheme}://127.0.0.1:{port}{path}")
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
