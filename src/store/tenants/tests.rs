//! Tenants come, go, and find their files damaged.
#![forbid(unsafe_code)]

use super::*;
use std::fs;
use std::path::PathBuf;

struct Counter(u8);
impl Entropy for Counter {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
    }
}

/// A folder that goes with its owner.
struct TestFolder(PathBuf);

impl TestFolder {
    fn new(name: &str) -> TestFolder {
        let path = std::env::temp_dir().join(format!("keyway-tenants-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        TestFolder(path)
    }

    fn file(&self, secret: &str) -> PathBuf {
        self.0.join(format!("{}.redb", tenant(secret).group()))
    }

    /// What was closed here may stay open for a moment: in the child of another test, until it runs its program.
    fn open(&self, clear: bool) -> Result<Tenants, StoreError> {
        for _ in 0..100 {
            match Tenants::open(&self.0, limits::TENANTS_IN_USE_MAX, clear) {
                Err(StoreError::AlreadyOpen) => std::thread::yield_now(),
                opened => return opened,
            }
        }
        Err(StoreError::AlreadyOpen)
    }
}

impl Drop for TestFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn secret(text: &str) -> DatabaseSecret {
    database_secret::parse(text.as_bytes()).ok().unwrap()
}

fn tenant(text: &str) -> Tenant {
    Tenant::of(secret(text)).unwrap()
}

#[test]
fn group_id_and_key_belong_together() {
    let key = Secret::new((0..32).collect());
    // Computed with Python's hmac: what was handed out must be good for ever.
    assert_eq!(group_of(&key), GROUP);
    let of = |group| Tenant::of(DatabaseSecret { group, key: Secret::copy_of(key.expose()) });
    assert_eq!(of(GROUP).map(|tenant| tenant.group()), Some(GROUP));
    for bit in 0..128 {
        assert!(of(GROUP ^ 1 << bit).is_none());
    }
}

const GROUP: u128 = 192950328614018971469184626006639727218;

#[test]
fn a_database_is_made_opened_removed_and_guarded() {
    let (folder, mut entropy) = (TestFolder::new("life"), Counter(0));
    let tenants = folder.open(false).unwrap();
    let (first, second) = (tenants.create(&mut entropy).unwrap(), tenants.create(&mut entropy).unwrap());
    assert!(tenants.of(&tenant(&first)).unwrap().is_some());
    assert!(matches!(folder.open(false), Err(StoreError::AlreadyOpen)), "another process would wait in vain");
    let repeated = tenants.create(&mut Counter(0));
    assert!(matches!(repeated, Err(StoreError::Refused(_))));
    assert!(tenants.read().is_err() && tenants.transact(&mut |_| Ok(())).is_err());
    assert!(tenants.trouble().is_none());
    drop(tenants);

    let tenants = folder.open(false).unwrap();
    assert!(tenants.of(&tenant(&first)).unwrap().is_some());
    // Somebody puts one file in the place of another.
    fs::copy(folder.file(&first), folder.file(&second)).unwrap();
    assert!(matches!(tenants.of(&tenant(&second)), Err(StoreError::Locked(_))));
    fs::remove_file(folder.file(&second)).unwrap();
    assert!(tenants.of(&tenant(&second)).unwrap().is_none());
    drop(tenants);

    for other in ["07.redb", "7.sqlite", "other.redb"] {
        fs::write(folder.0.join(other), "").unwrap();
    }
    let tenants = folder.open(true).unwrap();
    assert!(tenants.of(&tenant(&first)).unwrap().is_none());
    let mut left: Vec<_> = fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["07.redb", "7.sqlite", "other.redb"]);
    fs::remove_dir_all(&folder.0).unwrap();
    assert!(tenants.trouble().is_some());
}

#[test]
fn a_damaged_file_is_an_error_for_its_tenant() {
    let (folder, mut entropy) = (TestFolder::new("damage"), Counter(0));
    let tenants = folder.open(false).unwrap();
    let text = tenants.create(&mut entropy).unwrap();
    let path = folder.file(&text);
    // Closed, so that it is whole.
    drop(tenants);
    let whole = fs::read(&path).unwrap();
    let mut refused = 0;
    for at in (0..whole.len()).step_by(whole.len() / 97) {
        let flipped = [&whole[..at], &[!whole[at]], &whole[at + 1..]].concat();
        for damaged in [&whole[..at], &flipped] {
            fs::write(&path, damaged).unwrap();
            let tenants = folder.open(false).unwrap();
            refused += usize::from(!matches!(tenants.of(&tenant(&text)), Ok(Some(_))));
            tenants.reopen(&tenant(&text));
            let again = tenants.of(&tenant(&text));
            assert!(!matches!(again, Err(StoreError::AlreadyOpen)), "it was not closed");
        }
    }
    assert!(refused > 60, "{refused}");
}
