//! Grants: the owner of an object lets others, or everybody, do some operations on it.
#![forbid(unsafe_code)]

use super::attributes;
use super::object::Object;
use super::policy::{EVERYBODY, Principal, Standing};
use super::refusal::{Failure, Refusal, whole};
use super::rights::{NO_OBJECT, Rights};
use super::state::State;
use super::view::{Change, Changes, View};
use crate::limits;
use crate::time::Timestamp;
use crate::wire::ttlv::Item;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Adds or takes away rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Adds.
    Grant,
    /// Takes away.
    Revoke,
}

/// Changes what `user` may do on the object `uid`; only its owner may ask.
pub fn change(
    view: &dyn View,
    principal: &Principal,
    direction: Direction,
    uid: &str,
    user: &str,
    rights: Rights,
) -> Result<Changes, Failure> {
    check_name(user)?;
    owned(view, principal, uid)?;
    if user == principal.0 {
        let text = match direction {
            Direction::Grant => "You can't grant yourself, you have already all rights on your own objects",
            Direction::Revoke => "You can't revoke yourself, you should keep all rights on your own objects",
        };
        return Err(Refusal::AccessDenied(text.into()).into());
    }
    set(view, direction, uid, user, rights)
}

/// Changes whether `user` may make objects, which belongs to no object; only a privileged user may ask. Where there are none,
/// everybody may make objects: granting it says nothing new, and it cannot be taken away.
pub fn change_making(
    view: &dyn View,
    standing: Standing,
    direction: Direction,
    user: &str,
    rights: Rights,
) -> Result<Changes, Failure> {
    if rights != Rights::CREATE {
        return Err(Refusal::PlaceHolder.into());
    }
    check_name(user)?;
    match (standing, direction) {
        (Standing::Equal, Direction::Grant) => Ok(Changes::new()),
        (Standing::Equal, Direction::Revoke) => {
            let text = "every user may create keys; that right cannot be revoked without --privileged-users";
            Err(Refusal::NotSupported(text.into()).into())
        }
        (Standing::Privileged, _) => set(view, direction, NO_OBJECT, user, rights),
        (Standing::Ordinary, _) => {
            Err(Refusal::AccessDenied("only privileged users say who may create objects".into()).into())
        }
    }
}

fn check_name(user: &str) -> Result<(), Refusal> {
    if user.is_empty() || user.len() > limits::NAME_BYTES_MAX || user.contains(char::is_control) {
        let most = limits::NAME_BYTES_MAX;
        return Err(Refusal::invalid(format!("a user_id has 1 to {most} bytes and no control characters")));
    }
    Ok(())
}

fn set(
    view: &dyn View,
    direction: Direction,
    uid: &str,
    user: &str,
    rights: Rights,
) -> Result<Changes, Failure> {
    let before = view.granted(uid, user)?;
    let after = match direction {
        Direction::Grant => before.with(rights),
        Direction::Revoke => before.without(rights),
    };
    if after == before {
        return Ok(Changes::new());
    }
    Ok(vec![Change::Grant { uid: uid.to_owned(), user: user.to_owned(), rights: after }])
}

/// Who may do what on the object `uid`, by user; only its owner may ask.
pub fn list(view: &dyn View, principal: &Principal, uid: &str) -> Result<Vec<(String, Rights)>, Failure> {
    owned(view, principal, uid)?;
    Ok(whole(view.grants_on(uid, limits::OBJECTS_READ_MAX)?)?)
}

fn owned(view: &dyn View, principal: &Principal, uid: &str) -> Result<Arc<Object>, Failure> {
    match view.object(uid)? {
        Some(object) if object.owner == principal.0 => Ok(object),
        _ => {
            let text = format!("Object with uid `{uid}` is not owned by owner `{}`", principal.0);
            Err(Refusal::AccessDenied(text).into())
        }
    }
}

/// Shows every object of the principal, oldest first: state and attributes. `show` may refuse to go on.
pub fn each_owned(
    view: &dyn View,
    principal: &Principal,
    now: Timestamp,
    mut show: impl FnMut(&str, State, &[Item<'_>]) -> Result<(), Refusal>,
) -> Result<(), Failure> {
    for uid in whole(view.owned_by(&principal.0, limits::OBJECTS_READ_MAX)?)? {
        // Another's, where the list is of an earlier commit.
        let object = view.object(&uid)?.filter(|object| object.owner == principal.0);
        if let Some(object) = object {
            show(&uid, object.state_at(now), &attributes::list(&object, now)?)?;
        }
    }
    Ok(())
}

/// Shows every object of others on which the principal, by name or as everybody, may do something: owner, state, rights.
pub fn each_obtained(
    view: &dyn View,
    principal: &Principal,
    now: Timestamp,
    mut show: impl FnMut(&str, &str, State, Rights) -> Result<(), Refusal>,
) -> Result<(), Failure> {
    let mut obtained: BTreeMap<String, Rights> = BTreeMap::new();
    for user in [principal.0.as_str(), EVERYBODY] {
        for (uid, rights) in whole(view.grants_to(user, limits::OBJECTS_READ_MAX)?)? {
            let all = obtained.entry(uid).or_default();
            *all = all.with(rights);
        }
    }
    for (uid, rights) in obtained {
        match view.object(&uid)? {
            Some(object) if object.owner != principal.0 => {
                show(&uid, &object.owner, object.state_at(now), rights)?;
            }
            _ => {}
        }
    }
    Ok(())
}
