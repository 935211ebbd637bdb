//! What a message does to the one object that all of its items are about.
#![forbid(unsafe_code)]

use super::super::kmip::{Ask, OnError};
use super::super::network::Asked;
use super::key::{Picture, effect};
use crate::wire::kmip::enumeration::result_status::{OPERATION_FAILED, OPERATION_UNDONE, SUCCESS};

/// The status of each item that is answered, and what the object looks like then.
pub fn run(asked: &Asked, steps: &[Ask], on_error: OnError, before: Option<&Picture>) -> Outcome {
    let (mut statuses, mut after) = (Vec::new(), before.cloned());
    for step in steps {
        match run_step(asked, step, after.as_ref()) {
            Some(next) => {
                statuses.push(SUCCESS);
                after = next;
            }
            None => {
                if on_error == OnError::Undo {
                    statuses.fill(OPERATION_UNDONE);
                    after = before.cloned();
                }
                statuses.push(OPERATION_FAILED);
                if on_error != OnError::Continue {
                    break;
                }
            }
        }
    }
    Outcome { statuses, after }
}

/// What comes of a message.
#[derive(PartialEq)]
pub struct Outcome {
    pub statuses: Vec<u32>,
    pub after: Option<Picture>,
}

/// What the object looks like after one item; `None` where that fails.
fn run_step(asked: &Asked, step: &Ask, before: Option<&Picture>) -> Option<Option<Picture>> {
    let dialect = asked.dialect;
    let told = |is_told: bool| is_told.then(|| before.cloned());
    match step {
        Ask::Get { .. } => told(before.is_some_and(|picture| picture.is_gettable(dialect))),
        Ask::GetAttributes { .. } => told(before.is_some_and(|picture| picture.has_attributes(dialect))),
        step => effect(&Asked { ask: step.clone(), ..asked.clone() }, before),
    }
}
