//! The kernel's part, by pipes.
#![forbid(unsafe_code)]

use super::*;
use std::process::Command;
use std::thread;

/// A folder of the kernel's, whose files are pipes, so that they can be another thing at each read.
struct Entry(PathBuf);

impl Entry {
    fn new(name: &str) -> Entry {
        let path = std::env::temp_dir().join(format!("keyway-tsm-{}-{name}", std::process::id()));
        fs::create_dir(&path).unwrap();
        let pipes = ["generation", "inblob", "outblob"].map(|name| path.join(name));
        assert!(Command::new("mkfifo").args(pipes).status().unwrap().success());
        Entry(path)
    }

    /// What a quote comes to when the kernel answers so.
    fn quote(&self, generations: [&'static str; 2], quote: &'static [u8]) -> Result<Vec<u8>, String> {
        let path = self.0.clone();
        let kernel = thread::spawn(move || {
            fs::write(path.join("generation"), generations[0]).unwrap();
            let asked = fs::read(path.join("inblob")).unwrap();
            fs::write(path.join("outblob"), quote).unwrap();
            fs::write(path.join("generation"), generations[1]).unwrap();
            asked
        });
        let quote = exchange(&self.0, &[0xA5; 64]);
        assert_eq!(kernel.join().unwrap(), [0xA5; 64]);
        quote
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_quote_is_what_the_kernel_says_to_this_question() {
    let entry = Entry::new("exchange");
    assert_eq!(entry.quote(["0\n", "1\n"], b"a quote").unwrap(), b"a quote");
    let folder = entry.0.display();
    assert_eq!(
        entry.quote(["3\n", "5\n"], b"a quote"),
        Err(format!("{folder}: somebody else has used this folder"))
    );
    assert_eq!(entry.quote(["0\n", "1\n"], b""), Err(format!("{folder}/outblob: is empty")));
}

#[test]
fn the_kernel_names_the_platform() {
    let base = std::env::temp_dir().join(format!("keyway-tsm-{}-provider", std::process::id()));
    fs::create_dir(&base).unwrap();
    for (name, expected) in
        [("sev_guest\n", Provider::SevSnp), ("tdx_guest\n", Provider::Other("tdx_guest".into()))]
    {
        fs::write(base.join("provider"), name).unwrap();
        assert_eq!(provider(&base), Ok(expected));
    }
    fs::remove_dir_all(&base).unwrap();
}

#[test]
fn a_folder_of_its_own_goes_in_any_case() {
    let base = std::env::temp_dir().join(format!("keyway-tsm-{}-base", std::process::id()));
    assert!(Tsm::find(&base).is_none());
    fs::create_dir_all(base.join("keyway-0")).unwrap();
    let tsm = Tsm::find(&base).unwrap();
    let failed = tsm.quote(&[0; 64]).unwrap_err();
    let generation = base.join("keyway-1/generation");
    assert_eq!(failed, format!("{}: No such file or directory (os error 2)", generation.display()));
    let left: Vec<_> = fs::read_dir(&base).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["keyway-0"]);
    fs::remove_dir_all(&base).unwrap();
}
