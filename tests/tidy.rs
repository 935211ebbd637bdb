//! Rules of the source that no compiler checks.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Files that may hold `unsafe` blocks, and the modules above them, which cannot forbid what a part of them needs.
const MAY_BE_UNSAFE: [&str; 11] = [
    "src/lib.rs",
    "src/shell/allocator.rs",
    "src/shell/memory.rs",
    "src/shell/mod.rs",
    "src/shell/os.rs",
    "src/shell/sandbox.rs",
    "src/shell/sandbox/landlock.rs",
    "src/shell/sandbox/seccomp.rs",
    "src/shell/signals.rs",
    "src/tee/mod.rs",
    "src/tee/sev_snp.rs",
];

/// Parts of a module that a module of a higher layer must do without, although it may use the rest.
const FORBIDDEN: [(&str, &str); 5] = [
    // Decisions know items and names of KMIP, not how they travel.
    ("kms", "wire::http"),
    // The core is given a store; which one is the program's choice.
    ("server", "store::redb"),
    ("server", "store::remote"),
    ("pipeline", "store::redb"),
    ("pipeline", "store::remote"),
];

/// How the tests of a file begin, at its end.
const TESTS: &str = "#[cfg(test)]\nmod tests {";

/// A file of the source: its path from the root of the repository, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The module of the crate that the file belongs to: `src/kms/view.rs` and `src/kms/mod.rs` to `kms`.
    fn module(&self) -> &str {
        let below = self.path.strip_prefix("src/").unwrap();
        below.split('/').next().unwrap().trim_end_matches(".rs")
    }

    /// The lines without comments, up to the tests, which may use what they like.
    fn code(&self) -> String {
        if self.path.ends_with("/tests.rs") {
            return String::new();
        }
        let code = self.text.split(TESTS).next().unwrap();
        code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
    }

    /// What follows `crate::` in the code, each group in braces as its parts.
    fn paths(&self) -> Vec<String> {
        let code = self.code();
        let mut paths = Vec::new();
        for (at, _) in code.match_indices("crate::") {
            if code[..at].ends_with(|c: char| c == '_' || c == '$' || c.is_alphanumeric()) {
                continue;
            }
            expand("", &code[at + "crate::".len()..], &mut paths);
        }
        paths
    }
}

/// Adds the path at the beginning of `text`, below `prefix`; of a group in braces, all of its paths.
fn expand(prefix: &str, text: &str, paths: &mut Vec<String>) {
    let name_bytes = text.find(|c: char| c != '_' && c != ':' && !c.is_alphanumeric()).unwrap_or(text.len());
    let (name, rest) = text.split_at(name_bytes);
    let path = format!("{prefix}{name}");
    let Some(group) = rest.strip_prefix('{') else { return paths.push(path) };
    let (mut depth, mut start) = (0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            '}' => return expand(&path, group[start..at].trim(), paths),
            ',' if depth == 0 => {
                expand(&path, group[start..at].trim(), paths);
                start = at + 1;
            }
            _ => {}
        }
    }
}

fn sources(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<PathBuf> = vec![root.join(folder)];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let relative = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                sources.push(Source { path: relative, text: fs::read_to_string(&path).unwrap() });
            }
        }
    }
    assert!(!sources.is_empty(), "{folder}");
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

/// The modules in the order of the table in `src/lib.rs`: each may use those before it.
fn layers() -> Vec<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("//! | ") && line.contains("[`"));
    let names = rows.flat_map(|row| row.split("[`").skip(1).map(|name| name.split('`').next().unwrap()));
    names.map(str::to_owned).collect()
}

#[test]
fn modules_use_only_those_above_them_in_the_table_of_the_crate() {
    let layers = layers();
    let rank = |module: &str| layers.iter().position(|layer| layer == module);
    let mut seen = BTreeSet::new();
    for source in sources("src") {
        let module = source.module();
        if ["lib", "main"].contains(&module) {
            continue;
        }
        if module == "testing" {
            let shell = source.paths().into_iter().find(|path| path.starts_with("shell"));
            assert_eq!(shell, None, "{}: the simulator replaces the shell", source.path);
            continue;
        }
        seen.insert(module.to_owned());
        let own = rank(module).unwrap_or_else(|| panic!("{module} is not in the table of src/lib.rs"));
        for path in source.paths() {
            let used = path.split(':').next().unwrap();
            assert_ne!(used, "testing", "{} uses crate::{path}, which is no part of the server", source.path);
            // What is not in the table is a macro at the root.
            let Some(used_rank) = rank(used) else { continue };
            assert!(used_rank <= own, "{} uses crate::{path}, which stands below it", source.path);
        }
        for (user, part) in FORBIDDEN {
            let found = source.paths().into_iter().find(|path| module == user && path.starts_with(part));
            assert_eq!(found, None, "{}", source.path);
        }
    }
    let listed: BTreeSet<String> = layers.into_iter().collect();
    assert_eq!(seen, listed, "the table of src/lib.rs, and the modules that there are");
}

#[test]
fn a_file_of_tests_is_compiled_for_tests_only() {
    let sources = sources("src");
    let declares = |path: &str| {
        let parent = sources.iter().find(|source| source.path == path);
        parent.is_some_and(|parent| parent.text.contains("#[cfg(test)]\nmod tests;"))
    };
    let folders = || sources.iter().filter_map(|source| source.path.strip_suffix("/tests.rs"));
    assert!(folders().count() > 0);
    for folder in folders() {
        let is_declared = declares(&format!("{folder}.rs")) || declares(&format!("{folder}/mod.rs"));
        assert!(is_declared, "{folder}/tests.rs");
    }
}

#[test]
fn every_operation_has_its_tests() {
    let operations = sources("src/kms/operation");
    let (shared, single): (Vec<_>, Vec<_>) = operations
        .iter()
        .partition(|source| ["/mod.rs", "/tests.rs"].iter().any(|name| source.path.ends_with(name)));
    assert_eq!((shared.len(), single.len()), (2, keyway::kms::operation::Request::NAMES.len()));
    for source in single {
        let tests = source.text.split_once(TESTS).map_or("", |(_, tests)| tests);
        assert!(tests.contains("#[test]"), "{} has no tests", source.path);
    }
}

#[test]
fn unsafe_code_is_where_it_was_agreed_on() {
    for source in sources("src") {
        let forbids = source.text.contains("\n#![forbid(unsafe_code)]\n");
        let agreed = MAY_BE_UNSAFE.contains(&source.path.as_str());
        assert!(forbids != agreed, "{}: #![forbid(unsafe_code)], or a place in this test", source.path);
    }
}

#[test]
fn every_unsafe_block_gives_its_reason() {
    for source in sources("src") {
        let lines: Vec<&str> = source.text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let is_code = !line.trim_start().starts_with("//");
            if is_code && (line.contains("unsafe {") || line.contains("unsafe impl")) {
                let above = lines[..number].iter().rev().take(3).any(|line| line.contains("// SAFETY: "));
                assert!(above, "{}:{}: no SAFETY comment", source.path, number + 1);
            }
        }
    }
}

#[test]
fn ignored_tests_carry_their_reason() {
    let bare = ["#[", "ignore]"].concat();
    for source in ["src", "tests"].into_iter().flat_map(sources) {
        assert!(!source.text.contains(&bare), "{}: #[ignore = \"reason\"]", source.path);
    }
}

/// Whether a file at the root, or all of a folder there, is part of the context of `docker build`: the last pattern that fits
/// decides. Only patterns of the kinds that are in use are known.
fn is_let_in(dockerignore: &str, path: &str) -> bool {
    let patterns = dockerignore.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let fits = |pattern: &&str| {
        let pattern = pattern.trim_start_matches('!');
        assert!(
            pattern == "*" || !pattern.contains(['*', '?', '[']),
            "a pattern that this test does not know"
        );
        pattern == "*" || Path::new(path).starts_with(pattern)
    };
    patterns.rev().find(fits).is_none_or(|pattern| pattern.starts_with('!'))
}

/// The scripts, and what is theirs, that these lines name.
fn scripts_named(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let words = lines.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && !"._-/".contains(c)));
    words.filter(|word| word.starts_with(".ci/")).map(str::to_owned).collect()
}

#[test]
fn what_the_build_of_the_image_reads_is_let_in() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text_of = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    let dockerfile = text_of("Dockerfile");
    let (build, _) = dockerfile.split_once("\nFROM scratch\n").unwrap();
    // Scripts, and what they run or read in turn.
    let mut read = BTreeSet::new();
    let mut named = scripts_named(build);
    while let Some(path) = named.pop_first() {
        named.extend(scripts_named(&text_of(&path)).difference(&read).cloned());
        read.insert(path);
    }
    assert!(read.contains(".ci/static") && read.contains(".ci/openssl"), "{read:?}");
    // What cargo and rustup look for, and what the manifest names.
    let looked_for =
        [".cargo", "rust-toolchain", "rust-toolchain.toml", "build.rs", "Cargo.lock", "Cargo.toml", "src"];
    read.extend(looked_for.into_iter().filter(|path| root.join(path).exists()).map(str::to_owned));
    let manifest = text_of("Cargo.toml");
    let paths = manifest.split("path = \"").skip(1).map(|rest| rest.split('"').next().unwrap());
    read.extend(paths.filter(|path| *path != ".").map(str::to_owned));
    if manifest.contains("[[bench]]") {
        read.insert("benches".to_owned());
    }
    let dockerignore = text_of(".dockerignore");
    for path in read {
        assert!(
            is_let_in(&dockerignore, &path),
            "{path} is not in .dockerignore, and the image cannot be built"
        );
    }
    assert!(!is_let_in(&dockerignore, "target"), "what was built here is of no use there");
}

#[test]
fn the_last_pattern_of_dockerignore_that_fits_decides() {
    let ignored = "# Comment.\n*\n!.ci/static\n!src\nsrc/testing\n";
    assert!(is_let_in(ignored, "src/main.rs") && is_let_in(ignored, ".ci/static"));
    assert!(!is_let_in(ignored, ".ci/static.ld") && !is_let_in(ignored, "src/testing/mod.rs"));
    let script =
        "# .ci/comment\nsource .ci/openssl\nflags=\"-Wl,-T,.ci/static.ld -Wl\"\nRUN .ci/static /image";
    assert_eq!(
        scripts_named(script),
        [".ci/openssl", ".ci/static", ".ci/static.ld"].map(str::to_owned).into()
    );
}

#[test]
fn paths_are_read_from_the_code() {
    let text =
        "use crate::kms::{view::{View, Changes}, refusal};\nlet x = crate::time::Now;\n// crate::shell\n";
    let source = Source { path: "src/a/b.rs".into(), text: text.into() };
    assert_eq!(source.module(), "a");
    assert_eq!(
        source.paths(),
        ["kms::view::View", "kms::view::Changes", "kms::refusal", "time::Now"].map(str::to_owned)
    );
}
