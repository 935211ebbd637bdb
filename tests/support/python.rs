//! Programs in Python, each with the packages that it takes.

use super::run;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The interpreter of a virtual environment with the packages of a file below `tests/`, each by its hash; made when it is
/// not there.
pub fn python(name: &str, requirements: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("clients");
    fs::create_dir_all(&folder).unwrap();
    // One at a time, of all test programs.
    let lock = File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let environment = folder.join(name);
    let (python, complete) = (environment.join("bin/python"), environment.join("complete"));
    if !complete.exists() {
        let _ = fs::remove_dir_all(&environment);
        run("python3", ["-m".as_ref(), "venv".as_ref(), environment.as_os_str()]);
        let wanted = format!("{}/tests/{requirements}", env!("CARGO_MANIFEST_DIR"));
        let line = "-m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r";
        run(python.to_str().unwrap(), line.split(' ').chain([wanted.as_str()]));
        File::create(complete).unwrap();
    }
    python
}
