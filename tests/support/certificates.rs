//! Certificates and PKCS#12 files as real tools make them.

use super::{Scratch, run};
use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::x509::X509;
use openssl::x509::extension::ExtendedKeyUsage;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

/// A certification authority with an intermediate, and what it issues, in files of a folder.
pub struct Authority {
    pub scratch: Scratch,
}

const EXTENSIONS: &str = "\
[ca]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n\
[server]\nsubjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n\
keyUsage=critical,digitalSignature\ncrlDistributionPoints=URI:http://crl.example/list\n\
[client]\nextendedKeyUsage=clientAuth\n\
[named]\nextendedKeyUsage=clientAuth\nsubjectAltName=DNS:a.example,email:carol@example.org,URI:spiffe://example.org/carol\n";

impl Authority {
    /// `root.pem` (self-signed) and `intermediate.pem`, with their keys.
    pub fn new() -> Authority {
        let authority = Authority { scratch: Scratch::new() };
        fs::write(authority.file("extensions"), EXTENSIONS).unwrap();
        authority.key("root", "P-256");
        authority.request("root", "/CN=Keyway Test Root");
        authority
            .sign("root", &["-signkey", &authority.file("root.key"), "-extensions", "ca", "-days", "30"]);
        authority.key("intermediate", "P-256");
        authority.request("intermediate", "/CN=Keyway Test Intermediate");
        authority.issue("intermediate", "root", &["-extensions", "ca", "-days", "20"]);
        authority
    }

    pub fn file(&self, name: &str) -> String {
        self.scratch.file(name)
    }

    /// A certificate for localhost of the intermediate, `NAME.pem`, its key `NAME.key`, and `NAME.fullchain.pem`.
    pub fn server(&self, name: &str, key: &str) {
        self.server_valid(name, key, &["-days", "10"]);
    }

    /// The same with arguments for its validity.
    pub fn server_valid(&self, name: &str, key: &str, validity: &[&str]) {
        self.end_entity("server", name, key, validity);
    }

    /// A certificate for the user `NAME.example`, in files likewise.
    pub fn client(&self, name: &str) {
        self.client_valid(name, &["-days", "10"]);
    }

    /// The same with arguments for its validity.
    pub fn client_valid(&self, name: &str, validity: &[&str]) {
        self.end_entity("client", name, "P-256", validity);
    }

    /// The same with an e-mail address and a URI, both of carol's, among its alternative names.
    pub fn named_client(&self, name: &str) {
        self.end_entity("named", name, "P-256", &["-days", "10"]);
    }

    fn end_entity(&self, extensions: &str, name: &str, key: &str, validity: &[&str]) {
        self.key(name, key);
        self.request(name, &format!("/CN={name}.example"));
        self.issue(name, "intermediate", &[&["-extensions", extensions], validity].concat());
        let chain = [name, "intermediate", "root"]
            .map(|n| fs::read_to_string(self.file(&format!("{n}.pem"))).unwrap());
        fs::write(self.file(&format!("{name}.fullchain.pem")), chain.concat()).unwrap();
    }

    /// Revokes these certificates: the lists of the root and of the intermediate, in one PEM file, which is made anew and is
    /// valid for so many seconds.
    pub fn revoke(&self, names: &[&str], seconds: u32) -> String {
        let (config, index, number) = (self.file("ca.conf"), self.file("index"), self.file("crlnumber"));
        fs::write(&number, "01\n").unwrap();
        let lists = ["root", "intermediate"].map(|issuer| {
            let mut lines = String::new();
            for name in names.iter().filter(|_| issuer == "intermediate") {
                let (from, serial) = (self.file(&format!("{name}.pem")), ["-noout", "-serial"]);
                let serial = run("openssl", [&["x509", "-in", &from], &serial[..]].concat());
                let serial = serial.trim().strip_prefix("serial=").unwrap().to_owned();
                lines += &format!("R\t350101000000Z\t250101000000Z\t{serial}\tunknown\t/CN={name}.example\n");
            }
            fs::write(&index, lines).unwrap();
            fs::write(&config, format!(
                "[ca]\ndefault_ca=c\n[c]\ndatabase={index}\ndefault_md=sha256\ncrlnumber={number}\ncrl_extensions=e\n\
                 [e]\nauthorityKeyIdentifier=keyid:always\n"
            ))
                .unwrap();
            let (certificate, key) =
                (self.file(&format!("{issuer}.pem")), self.file(&format!("{issuer}.key")));
            let line = ["ca", "-config", &config, "-gencrl", "-cert", &certificate, "-keyfile", &key];
            run("openssl", [&line[..], &["-crlsec", &seconds.to_string()]].concat())
        });
        let file = self.file("lists.pem");
        fs::write(&file, lists.concat()).unwrap();
        file
    }

    /// `NAME.p12` by the line that the documentation gives, with more arguments.
    pub fn export(&self, name: &str, password: &str, more: &[&str]) -> String {
        let out = self.file(&format!("{name}.p12"));
        self.export_to(&out, name, password, more);
        out
    }

    pub fn export_to(&self, out: &str, name: &str, password: &str, more: &[&str]) {
        let (chain, key) = (self.file(&format!("{name}.fullchain.pem")), self.file(&format!("{name}.key")));
        let password = format!("pass:{password}");
        let line = ["pkcs12", "-export", "-in", &chain, "-inkey", &key, "-out", out, "-passout", &password];
        run("openssl", [&line, more].concat());
    }

    /// A certificate for the user `NAME.example` that is valid for so many seconds, in files likewise.
    pub fn client_for(&self, name: &str, seconds: i64) {
        self.client(name);
        let (path, chain) = (self.file(&format!("{name}.pem")), self.file(&format!("{name}.fullchain.pem")));
        let read = |file: &str| fs::read(self.file(file)).unwrap();
        let issuer = X509::from_pem(&read("intermediate.pem")).unwrap();
        let issuer_key = PKey::private_key_from_pem(&read("intermediate.key")).unwrap();
        let model = X509::from_pem(&fs::read(&path).unwrap()).unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
        let mut short = X509::builder().unwrap();
        short.set_version(2).unwrap();
        short.set_serial_number(model.serial_number()).unwrap();
        short.set_subject_name(model.subject_name()).unwrap();
        short.set_issuer_name(issuer.subject_name()).unwrap();
        short.set_pubkey(&model.public_key().unwrap()).unwrap();
        short.set_not_before(model.not_before()).unwrap();
        short.set_not_after(&Asn1Time::from_unix(now + seconds).unwrap()).unwrap();
        short.append_extension(ExtendedKeyUsage::new().client_auth().build().unwrap()).unwrap();
        short.sign(&issuer_key, MessageDigest::sha256()).unwrap();
        let short = short.build().to_pem().unwrap();
        fs::write(chain, [&short[..], &read("intermediate.pem")].concat()).unwrap();
        fs::write(path, short).unwrap();
    }

    fn key(&self, name: &str, kind: &str) {
        let curve = format!("ec_paramgen_curve:{kind}");
        let bits = format!("rsa_keygen_bits:{}", kind.strip_prefix("RSA-").unwrap_or_default());
        let algorithm: &[&str] = match kind {
            "Ed25519" => &["-algorithm", "ed25519"],
            kind if kind.starts_with("RSA-") => &["-algorithm", "rsa", "-pkeyopt", &bits],
            _ => &["-algorithm", "ec", "-pkeyopt", &curve],
        };
        let out = self.file(&format!("{name}.key"));
        run("openssl", [&["genpkey", "-quiet", "-out", &out], algorithm].concat());
    }

    fn request(&self, name: &str, subject: &str) {
        let (key, out) = (self.file(&format!("{name}.key")), self.file(&format!("{name}.csr")));
        run("openssl", ["req", "-new", "-key", &key, "-subj", subject, "-out", &out]);
    }

    fn issue(&self, name: &str, issuer: &str, more: &[&str]) {
        let (ca, key) = (self.file(&format!("{issuer}.pem")), self.file(&format!("{issuer}.key")));
        self.sign(name, &[&["-CA", &ca, "-CAkey", &key, "-CAcreateserial"], more].concat());
    }

    fn sign(&self, name: &str, more: &[&str]) {
        let (csr, out) = (self.file(&format!("{name}.csr")), self.file(&format!("{name}.pem")));
        let extensions = self.file("extensions");
        run(
            "openssl",
            [&["x509", "-req", "-in", &csr, "-out", &out, "-extfile", &extensions], more].concat(),
        );
    }
}

/// The DER of the certificate in a PEM file.
pub fn der(path: &str) -> Vec<u8> {
    X509::from_pem(&fs::read(path).unwrap()).unwrap().to_der().unwrap()
}
