//! The same requests against each engine, and what sealing costs. Over plain HTTP: TLS costs the same with all of them.

use crate::Bench;
use crate::answers::{PATH, encrypt_32_bytes};
use crate::client::Client;
use crate::machine::install_tools;
use crate::report::{Report, Target, median_ratio, number};
use crate::servers::Keyway;
use crate::support::databases::{Database, Kind};
use crate::support::{CREATE, value_of};
use crate::wrk::{Load, Outcome};

const ENCRYPTING_CONNECTIONS: usize = 32;
const CREATING_CONNECTIONS: usize = 64;
/// Of the rate of Encrypt without it.
const TARGET_SEALED: f64 = 0.75;

pub fn measure(bench: &Bench, report: &mut Report) {
    if let Err(reason) = install_tools(&["mariadbd", "redis-server"]) {
        return eprintln!("{reason}");
    }
    let databases = [Kind::MariaDb, Kind::Postgres, Kind::Redis].map(Database::start);
    let urls = databases.each_ref().map(|database| database.url().replace("postgres://", "postgresql://"));
    let mut engines: Vec<(String, Vec<String>)> =
        vec![("redb".into(), Vec::new()), ("sealed redb".into(), vec!["--master-password=benchmark".into()])];
    for url in urls {
        let kind = url.split(':').next().unwrap().to_owned();
        let arguments = vec![format!("--database-type={kind}"), format!("--database-url={url}")];
        engines.push((kind, arguments));
    }
    let mut figures: Vec<(Vec<Outcome>, Vec<Outcome>)> = engines.iter().map(|_| Default::default()).collect();
    for _ in 0..bench.rounds {
        for ((_, arguments), (encrypts, creates)) in engines.iter().zip(&mut figures) {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let keyway = Keyway::start_with(bench, &arguments);
            let uid =
                value_of("UniqueIdentifier", &Client::connect(keyway.server.port, None).post(PATH, CREATE));
            let (pid, url) = (keyway.server.pid(), keyway.server.url(PATH));
            let encrypt = Load::posting(&encrypt_32_bytes(&uid), ENCRYPTING_CONNECTIONS);
            encrypts.push(encrypt.run(pid, &url, bench.duration));
            creates.push(Load::posting(CREATE, CREATING_CONNECTIONS).run(pid, &url, bench.duration));
        }
    }
    let (plain_encrypts, plain_creates) = figures[0].clone();
    for ((name, _), (encrypts, creates)) in engines.iter().zip(&figures) {
        let is_sealed = name.starts_with("sealed");
        for (operation, ours, plain, target) in [
            (
                "Encrypt",
                encrypts,
                &plain_encrypts,
                if is_sealed { Target::AtLeast(TARGET_SEALED) } else { Target::None },
            ),
            ("Create", creates, &plain_creates, Target::None),
        ] {
            let rates =
                |outcomes: &[Outcome]| outcomes.iter().map(|outcome| outcome.rate).collect::<Vec<_>>();
            let ratio = median_ratio(rates(ours).into_iter(), rates(plain).into_iter());
            let (ours, plain) = (Outcome::median(ours), Outcome::median(plain));
            report.add(
                &format!("{operation}, {name}"),
                format!("{}/s, p99 {} ms", number(ours.rate), number(ours.p99_ms)),
                format!("redb {}/s", number(plain.rate)),
                ratio,
                "",
                target,
            );
        }
    }
}
