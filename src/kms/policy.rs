//! The one door: who may do what with an object. [`find`] and [`authorise`] are the only makers of [`Authorized`], and
//! only an [`Authorized`] object shows its material to an operation.
#![forbid(unsafe_code)]

use super::object::Object;
use super::refusal::{Failure, Refusal};
use super::rights::{NO_OBJECT, Rights};
use super::terms::Term;
use super::view::{Search, SearchEnd, Show, StoreError, View};
use crate::crypto::material::Material;
use crate::limits;
use std::sync::Arc;

/// Who asks: a user name, from the one table of identities (certificates and tokens, or the default user).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal(pub String);

impl Principal {
    /// The user of this name, which others have given: nobody may be everybody, and a log stays one line.
    pub fn named(name: String) -> Option<Principal> {
        let is_user = (1..=limits::NAME_BYTES_MAX).contains(&name.len())
            && name != EVERYBODY
            && !name.contains(char::is_control);
        is_user.then_some(Principal(name))
    }
}

/// Whether a user may make objects, by what the operator says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As everybody may: there are no privileged users.
    Equal,
    /// As one of the privileged users, who also say who else may.
    Privileged,
    /// Only where a privileged user has said so.
    Ordinary,
}

/// The user name that stands for everybody in grants.
pub const EVERYBODY: &str = "*";

/// Proof that the principal may do what was asked with this object.
pub struct Authorized {
    object: Arc<Object>,
    opened: Option<Material>,
}

impl Authorized {
    /// The object.
    pub fn object(&self) -> &Object {
        &self.object
    }

    /// Its key; that of an object that is stored wrapped is of no use until it is opened.
    pub fn key(&self) -> &Material {
        self.opened.as_ref().unwrap_or(&self.object.material)
    }

    /// The bytes of its key.
    pub fn material(&self) -> &[u8] {
        self.key().expose()
    }

    /// Whether its key bytes are there bare.
    pub fn is_usable(&self) -> bool {
        self.opened.is_some() || !self.object.is_wrapped()
    }

    /// The same object with the key bytes that are wrapped in it. They stay beside it: the object itself, which may be put
    /// back, is as it was stored.
    pub fn opened(self, material: Material) -> Authorized {
        Authorized { opened: Some(material), ..self }
    }

    /// The object, to be changed and put back.
    pub fn into_object(self) -> Object {
        Arc::try_unwrap(self.object).unwrap_or_else(|shared| shared.copy())
    }
}

/// Shows, oldest first, the objects with these terms that the principal may know of. Each is still to be authorised.
pub fn search(
    view: &dyn View,
    principal: &Principal,
    terms: &[Term],
    show: &mut Show<'_>,
) -> Result<SearchEnd, StoreError> {
    view.search(&Search { terms, owner: &principal.0, users: &users(principal) }, show)
}

/// Lets the owner do everything, and others what they or everybody were granted. `None` is "no": it must look as if the
/// object did not exist. The object may be given as a later commit than the one it was read from has it: that of the grants.
#[must_use = "an object that is not authorised must not be used"]
pub fn authorise(
    view: &dyn View,
    principal: &Principal,
    object: Arc<Object>,
    right: Rights,
) -> Result<Option<Authorized>, StoreError> {
    if object.owner == principal.0 {
        return Ok(Some(Authorized { object, opened: None }));
    }
    match view.object_with_grants(&object.uid, &users(principal))? {
        Some((object, granted)) => Ok(object.and_then(|object| allow(principal, object, granted, right))),
        None => {
            let granted = granted(view, principal, &object.uid)?;
            Ok(allow(principal, object, granted, right))
        }
    }
}

fn allow(principal: &Principal, object: Arc<Object>, granted: Rights, right: Rights) -> Option<Authorized> {
    let may = object.owner == principal.0 || implied(granted).include(right);
    may.then_some(Authorized { object, opened: None })
}

/// Whether the principal may do this as well with an object that it may do something with.
pub fn may(
    view: &dyn View,
    principal: &Principal,
    object: &Object,
    right: Rights,
) -> Result<bool, StoreError> {
    Ok(object.owner == principal.0 || implied(granted(view, principal, &object.uid)?).include(right))
}

/// Whose grants count.
fn users(principal: &Principal) -> [&str; 2] {
    [&principal.0, EVERYBODY]
}

/// The object with this identifier, if the principal may do this with it. One that is not there takes the questions that
/// one takes which is hidden: the time of an answer must not tell them apart either.
pub fn find(
    view: &dyn View,
    principal: &Principal,
    uid: &str,
    right: Rights,
) -> Result<Option<Authorized>, StoreError> {
    if let Some((object, granted)) = view.object_with_grants(uid, &users(principal))? {
        return Ok(object.and_then(|object| allow(principal, object, granted, right)));
    }
    match view.object(uid)? {
        Some(object) => authorise(view, principal, object, right),
        None => granted(view, principal, uid).map(|_| None),
    }
}

fn granted(view: &dyn View, principal: &Principal, uid: &str) -> Result<Rights, StoreError> {
    let [by_name, as_everybody] = users(principal);
    Ok(view.granted(uid, by_name)?.with(view.granted(uid, as_everybody)?))
}

/// Lets those make objects who may.
pub fn authorise_making(view: &dyn View, principal: &Principal, standing: Standing) -> Result<(), Failure> {
    match may_make(view, principal, standing)? {
        true => Ok(()),
        false => Err(Refusal::AccessDenied("User does not have create access-right.".into()).into()),
    }
}

/// Whether somebody may make objects: by standing, or granted by name or to everybody.
pub fn may_make(view: &dyn View, principal: &Principal, standing: Standing) -> Result<bool, StoreError> {
    if standing != Standing::Ordinary {
        return Ok(true);
    }
    Ok(granted(view, principal, NO_OBJECT)?.include(Rights::CREATE))
}

/// What a grant implies: who may get a key has its bytes, and so all that can be done with bytes alone; who may do
/// anything may read the attributes.
fn implied(granted: Rights) -> Rights {
    let mut rights = granted;
    if rights.include(Rights::GET) {
        rights = rights.with(Rights::EXPORT).with(Rights::ENCRYPT).with(Rights::DECRYPT);
    }
    if !rights.is_empty() {
        rights = rights.with(Rights::GET_ATTRIBUTES);
    }
    rights
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::view::Asked;

    #[test]
    fn what_is_hidden_takes_the_questions_of_what_is_not_there() {
        let view = || {
            Asked::new(|uid| {
                (uid == "there").then(|| Object { owner: "owner".into(), ..Object::example(uid) })
            })
        };
        let questions = |uid| {
            let asked = view();
            assert!(find(&asked, &Principal("stranger".into()), uid, Rights::GET).unwrap().is_none());
            asked.questions().join("; ").replace(uid, "it")
        };
        assert_eq!(questions("there"), "object it; granted it stranger; granted it *");
        assert_eq!(questions("never"), questions("there"));
        assert!(find(&view(), &Principal("owner".into()), "there", Rights::GET).unwrap().is_some());
    }

    #[test]
    fn a_grant_implies_what_the_bytes_allow_and_no_more() {
        assert!(implied(Rights::NONE).is_empty());
        let get = implied(Rights::GET);
        assert!(get.include(Rights::ENCRYPT) && get.include(Rights::GET_ATTRIBUTES));
        assert!(!get.include(Rights::REVOKE) && !get.include(Rights::DESTROY));
        let encrypt = implied(Rights::ENCRYPT);
        assert!(encrypt.include(Rights::GET_ATTRIBUTES));
        assert!(!encrypt.include(Rights::GET) && !encrypt.include(Rights::DECRYPT));
    }
}
