//! PKCS#12 files of the tools that people use, good and bad.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use keyway::crypto::pkcs12::{self, Error};
use keyway::crypto::x509;
use keyway::job::{self, CertificateSource, Done, Job, JobId, Resources, Work};
use keyway::secret::Secret;
use keyway::shell::os::OsEntropy;
use keyway::store::memory::MemoryStore;
use keyway::time::Timestamp;
use std::fs;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use support::certificates::{Authority, der};
use support::run;

#[expect(clippy::disallowed_methods, reason = "the certificates of this test are made now")]
fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_unix(since_epoch.as_secs() as i64)
}

fn secret(password: &str) -> Secret {
    Secret::copy_of(password.as_bytes())
}

/// The error of opening a file, down to its identity, as the operator reads it.
fn refusal(file: &[u8], password: &str) -> Option<String> {
    let bundle = match pkcs12::open(file, &secret(password)) {
        Ok(bundle) => bundle,
        Err(error) => return Some(error.to_string()),
    };
    x509::identity(bundle, now()).err().map(|error| error.to_string())
}

/// Opens the file and sees to it that it holds the key and the chain of `name`, in order and without the root.
fn check(authority: &Authority, path: &str, name: &str, password: &str) {
    let bundle = pkcs12::open(&fs::read(path).unwrap(), &secret(password));
    let bundle = bundle.unwrap_or_else(|error| panic!("{path}: {error}"));
    let identity = x509::identity(bundle, now()).unwrap_or_else(|error| panic!("{path}: {error}"));
    let expected = [name, "intermediate"].map(|n| der(&authority.file(&format!("{n}.pem"))));
    assert!(identity.chain == expected, "{path}: the chain is not leaf first, without the root");
    let key = openssl::pkey::PKey::private_key_from_pkcs8(identity.private_key.expose()).unwrap();
    let leaf = openssl::x509::X509::from_der(&expected[0]).unwrap();
    assert!(leaf.public_key().unwrap().public_eq(&key), "{path}");
}

#[test]
fn files_of_openssl_open_in_all_its_forms() {
    let authority = Authority::new();
    authority.server("a", "P-256");
    let forms: &[&[&str]] = &[
        &[],
        &["-legacy"],
        &["-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"],
        &["-legacy", "-certpbe", "PBE-SHA1-RC2-40", "-keypbe", "PBE-SHA1-RC2-40", "-macalg", "sha1"],
        &["-keypbe", "AES-128-CBC", "-certpbe", "AES-192-CBC", "-macalg", "sha512"],
        &["-keypbe", "DES-EDE3-CBC", "-certpbe", "AES-256-CBC", "-macalg", "sha384"],
        &["-keypbe", "NONE", "-certpbe", "NONE", "-macalg", "sha224"],
        &["-iter", "600000"],
        &["-noiter", "-nomaciter"],
        &["-name", "friendly \u{e9}"],
    ];
    for more in forms {
        let path = authority.export("a", "myPass", more);
        check(&authority, &path, "a", "myPass");
        let file = fs::read(&path).unwrap();
        assert_eq!(refusal(&file, "mypass"), Some(Error::WrongPassword.to_string()), "{more:?}");
    }
}

#[test]
fn keys_of_every_kind_and_passwords_of_every_form_open() {
    let authority = Authority::new();
    for (i, kind) in ["P-384", "P-521", "Ed25519", "RSA-2048"].into_iter().enumerate() {
        let name = format!("k{i}");
        authority.server(&name, kind);
        let path = authority.export(&name, "p", &[]);
        check(&authority, &path, &name, "p");
    }
    for password in ["", "Gr\u{fc}\u{df}e \u{1F511}", &"long".repeat(50)] {
        for more in [&[][..], &["-legacy"]] {
            let path = authority.export("k0", password, more);
            check(&authority, &path, "k0", password);
        }
    }
}

#[test]
fn files_of_other_tools_open() {
    let authority = Authority::new();
    authority.server("a", "RSA-2048");
    let from = authority.export("a", "myPass", &["-name", "server"]);

    let java = authority.file("java.p12");
    run(
        "keytool",
        [
            "-importkeystore",
            "-noprompt",
            "-srckeystore",
            &from,
            "-srcstorepass",
            "myPass",
            "-srcstoretype",
            "PKCS12",
            "-destkeystore",
            &java,
            "-deststorepass",
            "myPass",
            "-deststoretype",
            "PKCS12",
        ],
    );
    check(&authority, &java, "a", "myPass");

    let (chain, key) = (authority.file("a.fullchain.pem"), authority.file("a.key"));
    for cipher in ["aes-256", "3des-pkcs12", "rc2-40"] {
        let gnutls = authority.file(&format!("gnutls-{cipher}.p12"));
        run(
            "certtool",
            [
                "--to-p12",
                "--outder",
                "--load-certificate",
                &chain,
                "--load-privkey",
                &key,
                "--p12-name",
                "server",
                "--password",
                "myPass",
                "--pkcs-cipher",
                cipher,
                "--outfile",
                &gnutls,
            ],
        );
        check(&authority, &gnutls, "a", "myPass");
    }

    let database = format!("sql:{}", authority.scratch.path().display());
    run("certutil", ["-N", "-d", &database, "--empty-password"]);
    run("pk12util", ["-i", &from, "-d", &database, "-W", "myPass", "-K", ""]);
    let nss = authority.file("nss.p12");
    run("pk12util", ["-o", &nss, "-n", "server", "-d", &database, "-W", "myPass", "-K", ""]);
    check(&authority, &nss, "a", "myPass");

    // rust-openssl.
    let pem = |name: &str| fs::read(authority.file(name)).unwrap();
    let certificate = |name: &str| openssl::x509::X509::from_pem(&pem(name)).unwrap();
    let mut chain = openssl::stack::Stack::new().unwrap();
    chain.push(certificate("root.pem")).unwrap();
    chain.push(certificate("intermediate.pem")).unwrap();
    let key = openssl::pkey::PKey::private_key_from_pem(&pem("a.key")).unwrap();
    let mut builder = openssl::pkcs12::Pkcs12::builder();
    builder.name("server").pkey(&key).cert(&certificate("a.pem")).ca(chain);
    let rust = authority.file("rust.p12");
    fs::write(&rust, builder.build2("myPass").unwrap().to_der().unwrap()).unwrap();
    check(&authority, &rust, "a", "myPass");
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let authority = Authority::new();
    authority.server("a", "P-256");
    authority.server("b", "P-256");
    authority.server_valid("old", "P-256", &["-days", "-1"]);
    let export = |name: &str, more: &[&str]| fs::read(authority.export(name, "p", more)).unwrap();

    assert_eq!(refusal(&export("a", &["-nomac"]), "p"), Some(Error::NoMac.to_string()));
    assert_eq!(refusal(b"-----BEGIN CERTIFICATE-----", "p"), Some(Error::NotPkcs12.to_string()));
    assert_eq!(refusal(&[], "p"), Some(Error::NotPkcs12.to_string()));
    assert_eq!(refusal(&vec![0x30; 1024 * 1024 + 1], "p"), Some(Error::TooLarge.to_string()));
    let expired = refusal(&export("old", &[]), "p").unwrap();
    assert!(expired.starts_with("its certificate has expired on 20"), "{expired}");

    let without = |flag: &str| {
        let out = authority.file("part.p12");
        let (chain, key) = (authority.file("a.fullchain.pem"), authority.file("a.key"));
        run(
            "openssl",
            [
                "pkcs12",
                "-export",
                "-in",
                if flag == "-nocerts" { &key } else { &chain },
                "-inkey",
                &key,
                flag,
                "-out",
                &out,
                "-passout",
                "pass:p",
            ],
        );
        fs::read(out).unwrap()
    };
    assert_eq!(refusal(&without("-nokeys"), "p"), Some(Error::NoPrivateKey.to_string()));
    assert_eq!(refusal(&without("-nocerts"), "p"), Some(Error::NoCertificate.to_string()));

    // openssl refuses to make a file whose key does not match; rust-openssl does too: join the parts.
    let (a, b) = (export("a", &[]), export("b", &[]));
    let open = |file: &[u8]| pkcs12::open(file, &secret("p")).unwrap();
    let mixed = pkcs12::Bundle { private_keys: open(&a).private_keys, certificates: open(&b).certificates };
    assert_eq!(x509::identity(mixed, now()).err(), Some(x509::Error::KeyDoesNotMatch));
    let early = x509::identity(open(&a), Timestamp::from_unix(0)).err().unwrap();
    assert!(matches!(early, x509::Error::NotYetValid(_)));
    // Several keys: the one that has a certificate counts.
    let mut both = open(&a);
    both.private_keys.splice(0..0, open(&b).private_keys);
    assert_eq!(x509::identity(both, now()).unwrap().chain[0], der(&authority.file("a.pem")));
}

#[test]
fn a_file_that_is_not_valid_yet_is_looked_at_again() {
    let authority = Authority::new();
    authority.server("a", "P-256");
    let source = CertificateSource { file: authority.export("a", "p", &[]).into(), password: secret("p") };
    let mut resources = Resources::of(Arc::new(MemoryStore::new()), Box::new(OsEntropy));
    resources.certificate = Some(Arc::new(source));
    let mut load = |known, now| {
        let work = Work::LoadCertificate { known, now };
        let completions = job::run(vec![Job { id: JobId::Certificate, work }], &mut resources);
        match completions.into_iter().next().unwrap().done {
            Done::Certificate { digest, identity } => (digest, identity.err()),
            _ => panic!("another answer"),
        }
    };
    let (digest, told) = load(None, Timestamp::from_unix(0));
    let told = told.unwrap();
    assert!(told.contains("its certificate is valid from 20") && told.contains("It is taken"), "{told}");
    assert_eq!(digest, None, "it is looked at again");
    let (digest, told) = load(None, now());
    assert!(digest.is_some() && told.is_none());
    let (digest, told) = load(None, Timestamp::from_unix(i64::MAX / 2));
    assert!(digest.is_some() && told.unwrap().contains("has expired"), "it stays expired");
}

#[test]
fn iterations_are_paid_for_before_they_are_spent() {
    let authority = Authority::new();
    authority.server("a", "P-256");
    let file = fs::read(authority.export("a", "p", &[])).unwrap();
    let bundle = pkcs12::open(&file, &secret("p")).unwrap();
    let (certificate, key) = (&bundle.certificates[0], bundle.private_keys[0].expose());
    let mut pfx = p12::PFX::new(certificate, key, None, "p", "server").unwrap();
    assert_eq!(refusal(&pfx.to_der(), "p"), None);
    pfx.mac_data.as_mut().unwrap().iterations = 20_000_001;
    assert_eq!(refusal(&pfx.to_der(), "p"), Some(Error::TooCostly.to_string()));
}

#[test]
fn damaged_files_are_refused_and_never_half_opened() {
    let authority = Authority::new();
    authority.server("a", "P-256");
    for more in [&["-iter", "1"][..], &["-legacy", "-iter", "1"]] {
        let file = fs::read(authority.export("a", "secret", more)).unwrap();
        for end in (0..file.len()).step_by(7) {
            assert!(refusal(&file[..end], "secret").is_some(), "cut at {end}");
        }
        for at in (0..file.len()).step_by(11) {
            let mut damaged = file.clone();
            damaged[at] ^= 1 << (at % 8);
            pkcs12::fuzz(&damaged);
        }
        pkcs12::fuzz(&file);
    }
}
