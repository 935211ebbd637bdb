//! Keys and quotes from the platform: a TPM in software, a key file, and files as Gramine shows them to an enclave.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use keyway::crypto::self_signed;
use keyway::job::Resources;
use keyway::limits::Limits;
use keyway::secret::Secret;
use keyway::server::{Attestation, LoadedCertificate, Parts, Server as Core, Tls};
use keyway::shell::executor::Executor;
use keyway::shell::os::{Clock, OsEntropy};
use keyway::shell::reactor::Reactor;
use keyway::shell::signals::Signals;
use keyway::shell::sockets;
use keyway::store::memory::MemoryStore;
use keyway::tee::sgx::Sgx;
use keyway::tee::{Quoter, derive};
use keyway::testing;
use keyway::time::Timestamp;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use openssl::x509::X509;
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;
use support::pebble::{Pebble, Ports};
use support::swtpm::Swtpm;
use support::{Scratch, Server, free_port, keyway, keyway_fails, run, wait_for};

const NAME: &str = "kms.example.org";
const SALT: &str = "a1b2c3d4";
/// Where no authority is.
const NOWHERE: &str = "https://127.0.0.1:9/dir";

/// Options of a server whose key is from this platform with this salt.
fn options<'a>(tee: &'a str, salt: &'a str, directory: &'a str) -> Vec<&'a str> {
    let names = ["--use-certbot", "--certbot-hostname", NAME, "--certbot-email", "admin@example.com"];
    let key = ["--certbot-directory-url", directory, "--tee", tee, "--certbot-use-tee-key", salt];
    [&names[..], &key].concat()
}

/// The public key that a server shows, be its certificate from an authority or not.
fn public_key(port: u16) -> Vec<u8> {
    certificate(port).public_key().unwrap().public_key_to_der().unwrap()
}

fn certificate(port: u16) -> X509 {
    let mut connector = SslConnector::builder(SslMethod::tls_client()).unwrap();
    connector.set_verify(SslVerifyMode::NONE);
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    connector.build().connect(NAME, stream).unwrap().ssl().peer_certificate().unwrap()
}

/// The public key of a server that starts in `scratch`, and ends.
fn key_of_server(scratch: &Scratch, options: &[&str]) -> Vec<u8> {
    let server = Server::start(scratch.path(), options);
    let key = public_key(server.port);
    assert_eq!(server.terminate().code(), Some(0));
    key
}

/// The public key that this secret makes.
fn public_key_of(secret: &[u8], salt: &[u8], info: &[u8]) -> Vec<u8> {
    let key = derive::p256_key(&Secret::copy_of(secret), salt, info);
    PKey::private_key_from_pkcs8(key.expose()).unwrap().public_key_to_der().unwrap()
}

/// Why a server does not start in `scratch`.
fn refused(scratch: &Scratch, options: &[&str]) -> String {
    refused_option(scratch, options, "--certbot-use-tee-key")
}

/// The same, of the option that asks for a key.
fn refused_option(scratch: &Scratch, options: &[&str], option: &str) -> String {
    let data = scratch.file("data");
    let (code, told) = keyway_fails(&[options, &["--port", "0", "--root-data-path", &data]].concat());
    assert_eq!(code, 2, "{told}");
    let reason = told.lines().last().unwrap().strip_prefix(&format!("keyway: {option}: "));
    reason.unwrap_or_else(|| panic!("{told}")).to_owned()
}

#[test]
fn python_computes_the_same_private_number() {
    let hkdf = "
import hmac, sys
secret, salt, info = bytes.fromhex(sys.argv[1]), bytes.fromhex(sys.argv[2]), sys.argv[3].encode()
extracted = hmac.digest(salt, secret, 'sha256')
print(hmac.digest(extracted, info + b'\\x01', 'sha256').hex())";
    for (secret, salt, info) in [
        (&[7; 16][..], &b""[..], "intel-sealing-key"),
        (&[8; 32], &[0xA1, 0xB2, 0xC3, 0xD4], "amd-sealing-key"),
        (&[9; 32], &[3; 100], "tpm-sealing-key"),
        (&[10; 4096], &[4; 64], "file-sealing-key"),
    ] {
        let number = run("python3", ["-c", hkdf, &hex(secret), &hex(salt), info]);
        let key = derive::p256_key(&Secret::copy_of(secret), salt, info.as_bytes());
        let key = PKey::private_key_from_pkcs8(key.expose()).unwrap().ec_key().unwrap();
        assert_eq!(hex(&key.private_key().to_vec_padded(32).unwrap()), number.trim(), "{info}");
        key.check_key().unwrap();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Starts a server that gets its certificate from this pebble, and waits for that.
fn certified(pebble: &Pebble, scratch: &Scratch, tee: &str, salt: &str) -> Server {
    certified_with(pebble, scratch, &options(tee, salt, &pebble.directory_url()))
}

fn certified_with(pebble: &Pebble, scratch: &Scratch, options: &[&str]) -> Server {
    let (root, http) = (pebble.authority.file("root.pem"), pebble.ports.http.to_string());
    let mut command = keyway(options);
    command.args(["--certbot-ca-root", &root, "--certbot-http-port", &http]);
    let server = Server::spawn_at(scratch.path(), command, pebble.ports.tls);
    wait_for("a certificate of the authority", || {
        let issuer = format!("{:?}", certificate(server.port).issuer_name());
        issuer.contains("Pebble").then_some(())
    });
    server
}

#[test]
fn certificates_for_the_key_of_a_tpm_are_issued_anywhere_and_at_any_time() {
    let (pebble, mut tpm) = (Pebble::start(Ports::new(), &[]), Swtpm::start());
    let (first, second) = (Scratch::new(), Scratch::new());
    let server = certified(&pebble, &first, &tpm.option(), SALT);
    let (key, serial) = (public_key(server.port), certificate(server.port).serial_number().to_bn().unwrap());
    assert_eq!(server.terminate().code(), Some(0));
    let stored = fs::read_to_string(first.file("data/certbot-ssl/certificate.pem")).unwrap();
    assert!(stored.contains("BEGIN CERTIFICATE") && !stored.contains("PRIVATE KEY"), "{stored}");

    // The same machine, started anew: another server has the same key.
    tpm.reboot();
    let server = certified(&pebble, &second, &tpm.option(), SALT);
    assert_eq!(public_key(server.port), key);
    assert_eq!(server.terminate().code(), Some(0));

    // The first one has kept its certificate, and knows its key again.
    let server = certified(&pebble, &first, &tpm.option(), SALT);
    assert_eq!(certificate(server.port).serial_number().to_bn().unwrap(), serial);
    assert_eq!(server.log().matches("ordering a certificate").count(), 1);
    assert_eq!(server.terminate().code(), Some(0));

    // With another salt, that certificate is of no use: even until the next one is there, only the new key is shown.
    let server = certified(&pebble, &first, &tpm.option(), "a1b2c3d5");
    assert_ne!(public_key(server.port), key);
    assert!(server.log().contains("its private key does not belong to any of its certificates"));
    assert_eq!(server.terminate().code(), Some(0));

    // What the TPM said is what the usual tools make it say: `unique` is a TPM2B_DIGEST in the order of this machine.
    let salt = [0xA1, 0xB2, 0xC3, 0xD4];
    fs::write(tpm.scratch.file("unique"), [&4_u16.to_ne_bytes()[..], &salt].concat()).unwrap();
    fs::write(tpm.scratch.file("label"), "keyway tls key").unwrap();
    tpm.tool("tpm2_createprimary -C o -g sha256 -G hmac:sha256 -u unique -c key.ctx -a fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|sign");
    tpm.tool("tpm2_hmac -c key.ctx -o secret label");
    let secret = fs::read(tpm.scratch.file("secret")).unwrap();
    assert_eq!(public_key_of(&secret, &salt, b"tpm-sealing-key"), key);
}

#[test]
fn a_machine_that_started_in_another_way_is_refused_its_key() {
    let (scratch, mut tpm) = (Scratch::new(), Swtpm::start());
    let tee = tpm.option();
    let plain = options(&tee, SALT, NOWHERE);
    let bound = [&plain[..], &["--tee-tpm-pcrs", "16,7"]].concat();
    let key = key_of_server(&scratch, &bound);
    assert_eq!(key_of_server(&scratch, &bound), key);
    let file = scratch.file("data/certbot-ssl/tee-policy");
    let policy = fs::read_to_string(&file).unwrap();
    assert!(
        policy.starts_with("PCRs that the platform's key is bound to, version 1\nsha256:7,16\n"),
        "{policy}"
    );

    let anew =
        format!("or remove {file}: then there is a new key, and whoever pinned the old one must be told");
    let other = [&plain[..], &["--tee-tpm-pcrs", "7"]].concat();
    for options in [&plain, &other] {
        assert_eq!(
            refused(&scratch, options),
            format!("the key was bound to PCRs 7,16: give --tee-tpm-pcrs 7,16, {anew}")
        );
    }
    tpm.tool(&format!("tpm2_pcrextend 16:sha256={}", "01".repeat(32)));
    let told = refused(&scratch, &bound);
    assert_eq!(
        told,
        format!(
            "this machine was started in another way than when its key was made: the PCRs 7,16 hold other values. \
             Start it as before, {anew}"
        )
    );
    // The new values in the file make another key, not this one.
    let fresh = Scratch::new();
    let changed = key_of_server(&fresh, &bound);
    assert_ne!(changed, key);
    fs::copy(fresh.file("data/certbot-ssl/tee-policy"), &file).unwrap();
    assert_eq!(key_of_server(&scratch, &bound), changed);
    // As before, all is as before. Nothing of all that was left in the TPM.
    assert_eq!(
        tpm.tool("tpm2_getcap handles-transient") + &tpm.tool("tpm2_getcap handles-loaded-session"),
        ""
    );
    tpm.reboot();
    fs::write(&file, &policy).unwrap();
    assert_eq!(key_of_server(&scratch, &bound), key);
    assert_ne!(key_of_server(&Scratch::new(), &plain), key, "the policy is a part of the key");
    fs::write(&file, policy.replace("version 1", "version 9")).unwrap();
    assert_eq!(refused(&scratch, &bound), format!("{file}: is no file of this server"));
}

#[test]
fn a_database_stays_closed_on_a_machine_that_started_in_another_way() {
    let (scratch, tpm) = (Scratch::new(), Swtpm::start());
    let tee = tpm.option();
    let bound = ["--master-use-tee-key", SALT, "--tee", &tee, "--tee-tpm-pcrs", "16"];
    assert_eq!(Server::start(scratch.path(), &bound).terminate().code(), Some(0));
    let file = scratch.file("data/sqlite-data/tee-policy");
    assert!(fs::exists(&file).unwrap());
    tpm.tool(&format!("tpm2_pcrextend 16:sha256={}", "01".repeat(32)));
    let other = format!(
        "or restore a backup that a password opens; leave {file} in its place, since the database stays closed with another key"
    );
    assert_eq!(
        refused_option(&scratch, &bound, "--master-use-tee-key"),
        format!(
            "this machine was started in another way than when its key was made: the PCRs 16 hold other values. \
             Start it as before, {other}"
        )
    );
    assert_eq!(
        refused_option(&scratch, &bound[..4], "--master-use-tee-key"),
        format!("the key was bound to PCRs 16: give --tee-tpm-pcrs 16, {other}")
    );
}

#[test]
fn a_tpm_that_cannot_give_a_key_says_why() {
    let (scratch, mut tpm) = (Scratch::new(), Swtpm::start());
    let tee = tpm.option();
    let plain = options(&tee, SALT, NOWHERE);
    let socket = tee.strip_prefix("tpm:").unwrap();

    tpm.tool("tpm2_changeauth -c owner secret");
    assert_eq!(
        refused(&scratch, &plain),
        format!("{socket}: the owner hierarchy has a password: remove it (tpm2_changeauth -c owner -p OLD)")
    );
    tpm.tool("tpm2_changeauth -c owner -p secret");
    let key = key_of_server(&scratch, &plain);

    // A bank that is not there would bind a key to nothing.
    tpm.tool("tpm2_pcrallocate sha1:all+sha256:none");
    tpm.reboot();
    assert_eq!(
        refused(&scratch, &[&plain[..], &["--tee-tpm-pcrs", "0,7"]].concat()),
        format!("{socket}: the TPM has no PCR 0 in a SHA-256 bank")
    );

    let port = free_port();
    tpm.reboot_at(port);
    let by_tcp = format!("tpm:127.0.0.1:{port}");
    assert_eq!(key_of_server(&scratch, &options(&by_tcp, SALT, NOWHERE)), key);
    assert_eq!(refused(&scratch, &plain), format!("{socket}: No such file or directory (os error 2)"));
}

#[test]
fn a_long_salt_counts_to_its_last_byte() {
    let (scratch, tpm) = (Scratch::new(), Swtpm::start());
    let tee = tpm.option();
    let keys = ["11".repeat(200), format!("{}12", "11".repeat(199)), "11".repeat(32)]
        .map(|salt| key_of_server(&scratch, &options(&tee, &salt, NOWHERE)));
    assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2]);
}

#[test]
fn a_key_file_does_where_there_is_no_tpm() {
    let (pebble, scratch) = (Pebble::start(Ports::new(), &[]), Scratch::new());
    let path = scratch.file("platform.key");
    fs::write(&path, [0x5A; 48]).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let tee = format!("file:{path}");
    let told = refused(&scratch, &options(&tee, SALT, NOWHERE));
    assert_eq!(told, format!("{path}: others than its owner may use it (mode 644): chmod 600"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let expected = public_key_of(&[0x5A; 48], &[0xA1, 0xB2, 0xC3, 0xD4], b"file-sealing-key");

    // A server that has a certificate with a key of its own serves that until it has one for the other key.
    let url = pebble.directory_url();
    let without_key = &options(&tee, SALT, &url)[..7];
    assert_eq!(without_key[5..], ["--certbot-directory-url", &url]);
    let server = certified_with(&pebble, &scratch, without_key);
    let own = public_key(server.port);
    assert_eq!(server.terminate().code(), Some(0));
    let server = certified(&pebble, &scratch, &tee, SALT);
    wait_for("a certificate for the platform's key", || {
        let key = public_key(server.port);
        assert!(key == own || key == expected);
        (key == expected).then_some(())
    });
    assert!(server.log().matches("ordering a certificate").count() == 2, "{}", server.log());
    assert_eq!(server.terminate().code(), Some(0));
    assert_eq!(key_of_server(&Scratch::new(), &options(&tee, SALT, NOWHERE)), expected);
    assert_ne!(key_of_server(&Scratch::new(), &options(&tee, "00", NOWHERE)), expected);
}

#[test]
fn the_documentations_commands_do_what_it_says() {
    let scratch = Scratch::new();
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/platform-keys.md")).unwrap();
    let blocks = text.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    let ports = [free_port(), free_port()].map(|port| port.to_string());
    let script = blocks.collect::<String>().replace("localhost:9998", &format!("localhost:{}", ports[0]));
    let script = script.replace(
        "keyway --hostname localhost --root",
        &format!("keyway --port {} --hostname localhost --root", ports[0]),
    );
    let script = script.replace("9999", &ports[1]);
    let bin = std::path::Path::new(env!("CARGO_BIN_EXE_keyway")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut command = std::process::Command::new("bash");
    let at_end = "trap 'kill $(jobs -p) $(cat tpm/pid) 2> /dev/null || true' EXIT";
    command.args(["-euo", "pipefail", "-c", &format!("{at_end}\n{script}")]).env("PATH", path);
    let (stdout, stderr) = (scratch.file("stdout"), scratch.file("stderr"));
    // Into files: what runs in the background must not hold a pipe.
    command.stdout(fs::File::create(&stdout).unwrap()).stderr(fs::File::create(&stderr).unwrap());
    let status = command.current_dir(scratch.path()).status().unwrap();
    assert!(status.success(), "{}", fs::read_to_string(&stderr).unwrap());
    let answers = fs::read_to_string(&stdout).unwrap();
    let answers: Vec<&str> = answers.lines().filter(|line| !line.starts_with("listening on ")).collect();
    let version = format!("\"keyway {}\"", env!("CARGO_PKG_VERSION"));
    assert_eq!(answers, [&version, &version, "the same key", &version]);
}

/// The whole server in this process, on a platform that quotes by these files, or on another one; its port.
fn serve_with(quoter: Option<Arc<dyn Quoter>>, is_tls: bool) -> u16 {
    let (ready, port) = mpsc::channel();
    thread::spawn(move || {
        let (signals, clock) = (Signals::block().unwrap(), Clock::start());
        let listeners = sockets::bind("127.0.0.1", 0).unwrap();
        let port = listeners[0].local_addr().unwrap().port();
        let reactor = Reactor::new(listeners, signals, clock, &Limits::default()).unwrap();
        let store = Arc::new(MemoryStore::new());
        let resources = || Resources {
            store: store.clone(),
            entropy: Box::new(OsEntropy),
            certificate: None,
            revocations: None,
            egress: None,
            quoter: quoter.clone(),
            audit: None,
            counts: Arc::default(),
        };
        let executor = Executor::start(reactor.waker(), 1, resources).unwrap();
        let not_after = Timestamp::from_unix(2_000_000_000);
        let identity = self_signed::identity(&[NAME.to_owned()], clock.now().utc, not_after).unwrap();
        let pem = "-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n";
        let parts = testing::parts(store.clone(), Box::new(OsEntropy), clock.now());
        let core = Core::new(Parts {
            tls: if is_tls { Tls::File(LoadedCertificate { identity, digest: [0; 32] }) } else { Tls::Off },
            attestation: quoter.map(|_| Attestation { enclave_public_key: Some(pem.into()) }),
            ..parts
        });
        ready.send(port).unwrap();
        reactor.run(core.unwrap(), executor)
    });
    port.recv_timeout(Duration::from_secs(20)).unwrap()
}

/// Body and status of the answer to a GET.
fn get(scheme: &str, port: u16, path: &str) -> String {
    run("curl", ["-sSk", "-w", " %{http_code}", &format!("{scheme}://127.0.0.1:{port}{path}")])
}

#[test]
fn a_platform_vouches_for_the_certificate_and_the_clients_nonce() {
    let scratch = Scratch::new();
    for (name, content) in [("user_report_data", &b""[..]), ("quote", &[0xFB, 0xEF, 0xFF, 1])] {
        fs::write(scratch.file(name), content).unwrap();
    }
    let quoter = Some(Arc::new(Sgx::new(scratch.path())) as Arc<dyn Quoter>);
    let port = serve_with(quoter.clone(), true);
    let nonce: Vec<u8> = (0xE0..=0xFF).collect();
    let base64 = openssl::base64::encode_block(&nonce);
    assert!(base64.contains('+') && base64.contains('/') && base64.ends_with('='), "{base64}");
    let pem = certificate(port).to_pem().unwrap();
    let digest = openssl::hash::hash(MessageDigest::sha256(), &pem).unwrap();
    let escaped = base64.replace('+', "%2B").replace('/', "%2f").replace('=', "%3D");
    for path in [format!("/tee/attestation_report?nonce={base64}"), format!("/quote?a=b&nonce={escaped}")] {
        fs::write(scratch.file("user_report_data"), b"").unwrap();
        assert_eq!(get("https", port, &path), r#""++//AQ==" 200"#, "{path}");
        let vouched = fs::read(scratch.file("user_report_data")).unwrap();
        assert_eq!(vouched, [&nonce[..], &digest].concat());
    }
    assert_eq!(
        get("https", port, "/tee/sgx_enclave_public_key"),
        r#""-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n" 200"#
    );

    let short = openssl::base64::encode_block(&nonce[1..]);
    let unpadded = base64.trim_end_matches('=');
    for nonce in ["", "A", "%", &short, unpadded, &format!("{base64}%20"), &base64.replace('+', "-")] {
        assert_eq!(
            get("https", port, &format!("/quote?nonce={nonce}")),
            "Invalid Request: the nonce must be 32 bytes in base64 422",
            "{nonce}"
        );
    }
    for path in ["/quote", "/quote?nonc=x"] {
        assert_eq!(get("https", port, path), "Query deserialize error: missing field `nonce` 400");
    }
    let question = format!("/tee/attestation_report?nonce={base64}");
    fs::remove_file(scratch.file("quote")).unwrap();
    assert_eq!(get("https", port, &question), "Unexpected server error: the platform gives no quote 500");
    assert_eq!(
        get("http", serve_with(quoter, false), &question),
        "Not Supported: a quote is over a TLS certificate: use HTTPS 422"
    );
    let elsewhere = serve_with(None, true);
    for path in [&question, "/tee/sgx_enclave_public_key"] {
        assert_eq!(get("https", elsewhere, path), " 404");
    }
}
