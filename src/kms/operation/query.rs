//! Query (KMIP 2.1 section 6.1.37): what this server can do.
#![forbid(unsafe_code)]

use super::super::fields::Fields;
use super::super::refusal::{Failure, Refusal};
use super::super::symmetric;
use super::super::view::Changes;
use super::{Context, Effect, Operation, Request};
use crate::entropy::Entropy;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::kmip::enumeration::{object_type, operation, query_function, rng_algorithm};
use crate::wire::ttlv::{Item, Tag, Value};
use std::marker::PhantomData;

/// The request: what is asked, each once.
pub struct Query<'r> {
    functions: Vec<u32>,
    request: PhantomData<&'r ()>,
}

/// The objects that can be kept.
const OBJECT_TYPES: [u32; 3] =
    [object_type::SYMMETRIC_KEY, object_type::SECRET_DATA, object_type::OPAQUE_OBJECT];

impl<'r> Operation<'r> for Query<'r> {
    const NAME: &'static str = "Query";
    const EFFECT: Effect = Effect::Reads;
    const MAKES_OBJECTS: bool = false;
    type Found = ();

    fn decode(fields: Fields<'r>, _dialect: Dialect) -> Result<Self, Refusal> {
        let mut functions = Vec::new();
        for item in fields.items().iter().filter(|item| item.tag == Tag::QUERY_FUNCTION) {
            match item.value {
                Value::Enumeration(code) if query_function::ALL.name(code).is_some() => functions.push(code),
                Value::Enumeration(_) => return Err(fields.refuse(Tag::QUERY_FUNCTION, "has no such value")),
                _ => return Err(fields.refuse(Tag::QUERY_FUNCTION, "must be an Enumeration")),
            }
        }
        fields.required(Tag::QUERY_FUNCTION, functions.first())?;
        // In the order of the codes, which is that of the fields of an answer.
        functions.sort_unstable();
        functions.dedup();
        Ok(Query { functions, request: PhantomData })
    }

    fn execute(&mut self, _context: &Context<'_>) -> Result<((), Changes), Failure> {
        Ok(((), Changes::new()))
    }

    fn finish(
        self,
        (): (),
        _entropy: &mut dyn Entropy,
        reply: &mut dyn FnMut(&[Item<'_>]),
    ) -> Result<(), Failure> {
        reply(&self.functions.iter().flat_map(|function| answer(*function)).collect::<Vec<_>>());
        Ok(())
    }
}

/// The fields that answer one question. There is nothing to tell of name spaces, extensions, attestation, validations,
/// profiles, the registration of clients and where objects are kept apart.
fn answer(function: u32) -> Vec<Item<'static>> {
    match function {
        query_function::QUERY_OPERATIONS => {
            let codes = Request::NAMES.iter().filter_map(|name| operation::ALL.code(name));
            codes.map(|code| Item::enumeration(Tag::OPERATION, code)).collect()
        }
        query_function::QUERY_OBJECTS => {
            OBJECT_TYPES.iter().map(|code| Item::enumeration(Tag::OBJECT_TYPE, *code)).collect()
        }
        query_function::QUERY_SERVER_INFORMATION => {
            let information = vec![
                Item::text(Tag::SERVER_NAME, "Keyway"),
                Item::text(Tag::SERVER_VERSION, env!("CARGO_PKG_VERSION")),
            ];
            vec![
                Item::text(Tag::VENDOR_IDENTIFICATION, "keyway"),
                Item::structure(Tag::SERVER_INFORMATION, information),
            ]
        }
        query_function::QUERY_RNGS => {
            // Whatever the operating system has.
            let unspecified = vec![Item::enumeration(Tag::RNG_ALGORITHM, rng_algorithm::UNSPECIFIED)];
            vec![Item::structure(Tag::RNG_PARAMETERS, unspecified)]
        }
        query_function::QUERY_CAPABILITIES => {
            let capabilities = [
                (Tag::STREAMING_CAPABILITY, true),
                (Tag::ASYNCHRONOUS_CAPABILITY, false),
                (Tag::ATTESTATION_CAPABILITY, false),
                (Tag::BATCH_UNDO_CAPABILITY, true),
                (Tag::BATCH_CONTINUE_CAPABILITY, true),
            ];
            let capabilities = capabilities.map(|(tag, can)| Item::boolean(tag, can)).to_vec();
            vec![Item::structure(Tag::CAPABILITY_INFORMATION, capabilities)]
        }
        query_function::QUERY_DEFAULTS_INFORMATION => {
            let attributes = vec![
                Item::integer(Tag::CRYPTOGRAPHIC_LENGTH, symmetric::LENGTH_BITS_DEFAULT as i32),
                Item::integer(Tag::CRYPTOGRAPHIC_USAGE_MASK, symmetric::USAGE_MASK_DEFAULT as i32),
            ];
            let defaults = vec![
                Item::enumeration(Tag::OBJECT_TYPE, object_type::SYMMETRIC_KEY),
                Item::structure(Tag::ATTRIBUTES, attributes),
            ];
            let defaults = vec![Item::structure(Tag::OBJECT_DEFAULTS, defaults)];
            vec![Item::structure(Tag::DEFAULTS_INFORMATION, defaults)]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::operation::tests::Trial;

    #[test]
    fn every_operation_of_the_table_is_told() {
        let ask = [Item::enumeration(Tag::QUERY_FUNCTION, query_function::QUERY_OPERATIONS)];
        let told = Trial::over([]).ask("Query", &ask).unwrap();
        let names: Vec<_> = Request::NAMES
            .iter()
            .map(|name| Item::enumeration(Tag::OPERATION, operation::ALL.code(name).unwrap()))
            .collect();
        assert_eq!(told, names);
    }

    #[test]
    fn each_question_is_answered_once_in_the_order_of_the_fields() {
        let mut kms = Trial::over([]);
        let ask = |functions: &[u32]| {
            functions.iter().map(|code| Item::enumeration(Tag::QUERY_FUNCTION, *code)).collect::<Vec<_>>()
        };
        let (objects, capabilities) = (query_function::QUERY_OBJECTS, query_function::QUERY_CAPABILITIES);
        let told = kms.ask("Query", &ask(&[capabilities, objects, capabilities])).unwrap();
        assert_eq!(told, kms.ask("Query", &ask(&[objects, capabilities])).unwrap());
        assert_eq!(told.len(), OBJECT_TYPES.len() + 1);
        assert!(kms.refused("Query", &ask(&[0xFFFF])).contains("QueryFunction"));
        assert!(kms.refused("Query", &[]).contains("QueryFunction"));
    }
}
