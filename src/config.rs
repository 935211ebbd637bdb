//! stub
#![forbid(unsafe_code)]
#![allow(missing_docs, unused)]
use crate::job::CertificateSource;
use crate::limits::Limits;
use std::ffi::OsString;
use std::path::PathBuf;
pub enum Command {
    Serve(Box<Config>),
    Health(HealthTarget),
    Print(String),
}
pub struct HealthTarget {
    pub host: String,
    pub port: u16,
    pub tls: bool,
}
pub struct Database {
    pub folder: PathBuf,
    pub clear: bool,
}
pub struct Config {
    pub hostname: String,
    pub port: u16,
    pub tls: Option<CertificateSource>,
    pub database: Database,
    pub default_username: String,
    pub limits: Limits,
    pub log_level: log::LevelFilter,
    pub warnings: Vec<String>,
}
impl Config {
    pub fn describe(&self) -> Vec<String> {
        vec![]
    }
}
pub fn resolve(
    a: impl Iterator<Item = OsString>,
    e: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Command, String> {
    let a: Vec<String> = a.map(|s| s.into_string().unwrap()).collect();
    let get = |n: &str| a.iter().position(|x| x == n).map(|i| a[i + 1].clone());
    let tls = get("--https-p12-file").map(|f| CertificateSource {
        file: f.into(),
        password: crate::secret::Secret::new(get("--https-p12-password").unwrap_or_default().into_bytes()),
    });
    let port = get("--port").map(|p| p.parse().unwrap()).unwrap_or(9998);
    let hostname = get("--hostname").unwrap_or("0.0.0.0".into());
    if a.first().is_some_and(|x| x == "health") {
        return Ok(Command::Health(HealthTarget { host: "127.0.0.1".into(), port, tls: tls.is_some() }));
    }
    Ok(Command::Serve(Box::new(Config {
        hostname,
        port,
        tls,
        database: Database {
            folder: PathBuf::from(get("--root-data-path").unwrap_or("/tmp/kw".into())).join("sqlite-data"),
            clear: a.iter().any(|x| x == "--clear-database"),
        },
        default_username: "admin".into(),
        limits: Limits::default(),
        log_level: log::LevelFilter::Info,
        warnings: vec![],
    })))
}
