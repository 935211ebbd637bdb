//! The operations of KMIP, one file each. A new one is a file with an `impl Operation` and its tests, and a line in the table
//! below.
#![forbid(unsafe_code)]

use super::effort::Effort;
use super::fields::Fields;
use super::named::Named;
use super::nonces::Ledger;
use super::policy::{self, Principal, Standing};
use super::refusal::{Failure, Refusal};
use super::streams::Streams;
use super::view::{Change, Changes, View};
use crate::entropy::Entropy;
use crate::time::Timestamp;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::ttlv::Item;

/// What an operation does to the store, which decides where it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Reads a few objects.
    Reads,
    /// Reads many objects.
    Scans,
    /// Changes something.
    Writes,
}

/// What a decision may look at.
pub struct Context<'c> {
    /// The store.
    pub view: &'c dyn View,
    /// Who asks.
    pub principal: &'c Principal,
    /// Whether it may make objects.
    pub standing: Standing,
    /// When.
    pub now: Timestamp,
    /// Whose rules apply where they differ.
    pub dialect: Dialect,
    /// What clients do in several steps.
    pub streams: &'c Streams,
    /// What keys have left to draw.
    pub nonces: &'c Ledger<'c>,
    /// What the request has taken until now.
    pub effort: &'c Effort,
    /// Whether this is the only operation of its request: what others come after may have to be done twice.
    pub is_alone: bool,
}

/// One operation of KMIP (KMIP 2.1 section 6), in the order of its stages. A request never goes back to a stage.
pub trait Operation<'r>: Sized {
    /// KMIP's name, the root tag of the request.
    const NAME: &'static str;
    /// What it does to the store.
    const EFFECT: Effect;
    /// Whether there may be an object more after it, or another in the place of one: not everybody may do that everywhere.
    const MAKES_OBJECTS: bool;
    /// What `execute` found, for `finish`.
    type Found;

    /// Reads the request.
    fn decode(fields: Fields<'r>, dialect: Dialect) -> Result<Self, Refusal>;

    /// Makes what needs randomness: identifiers, keys. Sees no store.
    fn prepare(&mut self, _entropy: &mut dyn Entropy, _now: Timestamp) -> Result<(), Refusal> {
        Ok(())
    }

    /// Decides. Sees the store, draws nothing. What it answers with changes is committed before `finish`; in a batch, and
    /// where it counts a use, it is committed only if `finish` has answered. An operation that only reads may change
    /// something now and then (a count of uses): it is then run again where changes are made.
    fn execute(&mut self, context: &Context<'_>) -> Result<(Self::Found, Changes), Failure>;

    /// Whether `finish` leaves something for a next step: then it is done once, after the commit.
    fn leaves_work(_found: &Self::Found) -> bool {
        false
    }

    /// Does the cryptography whose result is only sent, and answers through `reply` exactly once. Sees no store.
    fn finish(
        self,
        found: Self::Found,
        entropy: &mut dyn Entropy,
        reply: &mut dyn FnMut(&[Item<'_>]),
    ) -> Result<(), Failure>;
}

macro_rules! operations {
    ($($module:ident $name:ident,)*) => {
        $(mod $module;)*

        /// A decoded request. It stays in one place while it goes through the stages.
        pub enum Request<'r> {
            $(#[doc = concat!("KMIP's ", stringify!($name), ".")] $name(Box<$module::$name<'r>>),)*
        }

        /// A decided request, with what it found.
        pub enum Decided<'r> {
            $(#[doc = concat!("KMIP's ", stringify!($name), ".")]
            $name(Box<$module::$name<'r>>, <$module::$name<'r> as Operation<'r>>::Found),)*
        }

        impl<'r> Request<'r> {
            /// The names of all operations.
            pub const NAMES: &'static [&'static str] = &[$(<$module::$name<'static> as Operation<'static>>::NAME,)*];

            /// What the operation called `name` does to the store; `None` if there is no such operation.
            pub fn effect_of(name: &str) -> Option<Effect> {
                $(if name == <$module::$name<'_> as Operation<'_>>::NAME {
                    return Some(<$module::$name<'_> as Operation<'_>>::EFFECT);
                })*
                None
            }

            /// Reads the request for the operation called `name`; in a batch, `named` are the objects that the items before
            /// it have named.
            pub fn decode(
                name: &str,
                items: &'r [Item<'r>],
                named: Option<&'r Named>,
                dialect: Dialect,
            ) -> Result<Request<'r>, Refusal> {
                $(if name == <$module::$name<'r> as Operation<'r>>::NAME {
                    let fields = Fields::new(<$module::$name<'r> as Operation<'r>>::NAME, items);
                    return $module::$name::decode(fields.after(named), dialect).map(|request| Request::$name(Box::new(request)));
                })*
                Err(Refusal::UnknownOperation(name.to_owned()))
            }

            /// See [`Operation::EFFECT`].
            pub fn effect(&self) -> Effect {
                match self {
                    $(Request::$name(_) => <$module::$name<'r> as Operation<'r>>::EFFECT,)*
                }
            }

            /// See [`Operation::MAKES_OBJECTS`].
            pub fn makes_objects(&self) -> bool {
                match self {
                    $(Request::$name(_) => <$module::$name<'r> as Operation<'r>>::MAKES_OBJECTS,)*
                }
            }

            /// See [`Operation::prepare`].
            pub fn prepare(&mut self, entropy: &mut dyn Entropy, now: Timestamp) -> Result<(), Refusal> {
                match self {
                    $(Request::$name(operation) => operation.prepare(entropy, now),)*
                }
            }

            /// See [`Operation::execute`].
            pub fn execute(self, context: &Context<'_>) -> Result<(Decided<'r>, Changes), Failure> {
                match self {
                    $(Request::$name(mut operation) => {
                        let makes_objects = <$module::$name<'r> as Operation<'r>>::MAKES_OBJECTS;
                        if makes_objects {
                            policy::authorise_making(context.view, context.principal, context.standing)?;
                        }
                        let (found, changes) = operation.execute(context)?;
                        debug_assert!(
                            makes_objects || !changes.iter().any(|change| matches!(change, Change::Insert(_))),
                            "only an operation that says so makes objects"
                        );
                        Ok((Decided::$name(operation, found), changes))
                    })*
                }
            }
        }

        impl Decided<'_> {
            /// See [`Operation::leaves_work`].
            pub fn leaves_work(&self) -> bool {
                match self {
                    $(Decided::$name(_, found) => <$module::$name<'_> as Operation<'_>>::leaves_work(found),)*
                }
            }

            /// See [`Operation::finish`]; `reply` is given the root tag of the answer and its fields.
            pub fn finish(
                self,
                entropy: &mut dyn Entropy,
                reply: &mut dyn FnMut(&'static str, &[Item<'_>]),
            ) -> Result<(), Failure> {
                match self {
                    $(Decided::$name(operation, found) => operation.finish(found, entropy, &mut |items| {
                        reply(concat!(stringify!($name), "Response"), items);
                    }),)*
                }
            }
        }
    };
}

operations! {
    create Create,
    import Import,
    register Register,
    get Get,
    export Export,
    get_attributes GetAttributes,
    get_attribute_list GetAttributeList,
    set_attribute SetAttribute,
    add_attribute AddAttribute,
    modify_attribute ModifyAttribute,
    delete_attribute DeleteAttribute,
    check Check,
    rekey ReKey,
    locate Locate,
    query Query,
    discover_versions DiscoverVersions,
    encrypt Encrypt,
    decrypt Decrypt,
    mac MAC,
    mac_verify MACVerify,
    hash Hash,
    rng_retrieve RNGRetrieve,
    rng_seed RNGSeed,
    derive_key DeriveKey,
    activate Activate,
    revoke Revoke,
    destroy Destroy,
}

#[cfg(test)]
mod tests;
