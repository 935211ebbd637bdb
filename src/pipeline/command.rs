//! One request in its stages.
#![forbid(unsafe_code)]

use super::batch::Batch;
use super::{Answer, Asker, Endpoint, decision};
use crate::audit::entry::Decision;
use crate::entropy::Entropy;
use crate::kms::access::{self, Direction};
use crate::kms::effort::Effort;
use crate::kms::nonces::Ledger;
use crate::kms::operation::{Context, Decided, Request};
use crate::kms::policy::{self, Standing};
use crate::kms::refusal::{Failure, Refusal};
use crate::kms::rights::Rights;
use crate::kms::view::{Changes, View};
use crate::limits;
use crate::secret::Buffer;
use crate::store::StoreError;
use crate::time::Timestamp;
use crate::wire::access as wire_access;
use crate::wire::kmip::dialect::{self, DecodeError, Dialect};
use crate::wire::kmip::enumeration::{batch_error_continuation_option, result_reason};
use crate::wire::kmip::message::{self, Encoding, Malformed, RequestMessage, ResponseMessage};
use crate::wire::listing;
use crate::wire::ttlv::{Arena, Children, Fields, Tag, binary};

/// Why a request goes no further: an answer is due, the store failed, or it is where it cannot be done.
pub enum Stop {
    /// This is the answer.
    Told {
        /// The HTTP status.
        status: u16,
        /// KMIP's result reason.
        reason: u32,
        /// The body.
        text: String,
    },
    /// There is no answer.
    Store(StoreError),
    /// It changes something.
    MustWrite,
    /// It takes too long here.
    MustScan,
}

impl Stop {
    fn refused(refusal: &Refusal, dialect: Dialect) -> Stop {
        Stop::Told {
            status: refusal.status(),
            reason: decision::reason_of(refusal),
            text: refusal.text(dialect),
        }
    }

    fn failed(failure: Failure, dialect: Dialect) -> Stop {
        match failure {
            Failure::Refused(refusal) => Stop::refused(&refusal, dialect),
            Failure::Store(error) => Stop::Store(error),
        }
    }
}

/// A body that was read.
pub enum Decoded<'b> {
    Kmip(dialect::Request<'b>),
    /// The tag of the root, and the fields of a message.
    Message {
        root: &'b str,
        fields: Children<'b>,
        encoding: Encoding,
    },
    /// What should be a message and is none.
    NoMessage(Malformed, Encoding),
    ChangeAccess(Direction, wire_access::AccessRequest<'b>),
    ListAccess(&'b str),
    ListOwned,
    ListObtained,
    MayMake,
    IsPrivileged,
}

impl Decoded<'_> {
    /// Whether it is a batch that is undone if one of its items fails.
    pub fn may_be_undone(&self) -> bool {
        let Decoded::Message { fields, .. } = self else { return false };
        let header = Fields(fields).structure(Tag::REQUEST_HEADER);
        let option = header.and_then(|header| header.enumeration(Tag::BATCH_ERROR_CONTINUATION_OPTION));
        option == Some(batch_error_continuation_option::UNDO)
    }

    /// Appends the request in the one form that loses nothing; it is what came by this endpoint.
    pub fn encode_canonical(&self, out: &mut Vec<u8>) -> Endpoint {
        let (root, fields, encoding) = match self {
            Decoded::Kmip(request) => (request.root, &request.fields, Encoding::Json(request.dialect)),
            Decoded::Message { root, fields, encoding } => (*root, fields, *encoding),
            _ => unreachable!("nothing else is taken for a read and writes"),
        };
        binary::encode(fields, out);
        Endpoint::Canonical { root: root.to_owned(), encoding }
    }
}

/// The first stage. An error is the status and text of the answer.
pub fn decode<'b>(
    endpoint: &'b Endpoint,
    body: &'b mut [u8],
    arena: &'b Arena<'b>,
) -> Result<Decoded<'b>, (u16, String)> {
    match endpoint {
        Endpoint::Kmip => {
            let is_jwe = body.starts_with(b"ey");
            let request = dialect::decode(body, arena).map_err(|error| (422, not_kmip(error, is_jwe)))?;
            Ok(decoded(request.root, request.fields, Encoding::Json(request.dialect)))
        }
        Endpoint::KmipMessage => Ok(match dialect::decode(body, arena) {
            Ok(request) if is_message(request.root) => {
                decoded(request.root, request.fields, Encoding::Json(request.dialect))
            }
            Ok(request) => {
                let why = Malformed::message("the document is not a RequestMessage");
                Decoded::NoMessage(why, Encoding::Json(request.dialect))
            }
            Err(DecodeError::NotJson(reason)) => {
                Decoded::NoMessage(Malformed::message(reason), Encoding::Json(Dialect::V5))
            }
            Err(DecodeError::NotTtlv { dialect, reason }) => {
                Decoded::NoMessage(Malformed::message(reason), Encoding::Json(dialect))
            }
        }),
        Endpoint::KmipBinary => Ok(match message::decode_binary(body) {
            Ok(fields) => decoded("RequestMessage", fields, Encoding::Binary),
            Err(why) => Decoded::NoMessage(why, Encoding::Binary),
        }),
        Endpoint::Canonical { root, encoding } => {
            let fields = binary::decode(body).map_err(|error| (422, format!("Invalid Request: {error}")))?;
            Ok(decoded(root, fields.into(), *encoding))
        }
        Endpoint::ChangeAccess(direction) => match wire_access::parse(body) {
            Ok(request) => Ok(Decoded::ChangeAccess(*direction, request)),
            Err(text) => Err((400, format!("Json deserialize error: {text}"))),
        },
        Endpoint::ListAccess(uid) => Ok(Decoded::ListAccess(uid)),
        Endpoint::ListOwned => Ok(Decoded::ListOwned),
        Endpoint::ListObtained => Ok(Decoded::ListObtained),
        Endpoint::MayMake => Ok(Decoded::MayMake),
        Endpoint::IsPrivileged => Ok(Decoded::IsPrivileged),
    }
}

fn decoded<'b>(root: &'b str, fields: Children<'b>, encoding: Encoding) -> Decoded<'b> {
    match is_message(root) {
        true => Decoded::Message { root, fields, encoding },
        false => Decoded::Kmip(dialect::Request { dialect: encoding.dialect(), root, fields }),
    }
}

pub fn is_message(root: &str) -> bool {
    matches!(root, "RequestMessage" | "Message")
}

fn not_kmip(error: DecodeError, is_jwe: bool) -> String {
    match error {
        DecodeError::NotJson(_) if is_jwe => {
            "Not Supported: this server doesn't support JWE encryption".into()
        }
        DecodeError::NotJson(reason) => format!("Invalid Request: {reason}"),
        DecodeError::NotTtlv { dialect: Dialect::V4, reason } => format!("Codec_Error: {reason}"),
        DecodeError::NotTtlv { dialect: Dialect::V5, reason } => format!("Invalid Request: {reason}"),
    }
}

/// The second stage.
pub fn prepare<'b>(
    decoded: &'b Result<Decoded<'b>, (u16, String)>,
    entropy: &mut dyn Entropy,
    asker: &Asker,
) -> Result<Command<'b>, Stop> {
    match decoded {
        Ok(decoded) => Command::prepare(decoded, entropy, asker.now),
        Err((status, text)) => {
            Err(Stop::Told { status: *status, reason: result_reason::INVALID_MESSAGE, text: text.clone() })
        }
    }
}

/// A request that is ready to be decided.
pub enum Command<'b> {
    Kmip(Request<'b>, Dialect),
    /// To be run as it is ([`batch`](super::batch)).
    Batch(RequestMessage<'b>, Encoding),
    /// The answer says why it is none.
    NoMessage(Malformed, Encoding),
    ChangeAccess {
        direction: Direction,
        uid: Option<&'b str>,
        user: &'b str,
        rights: Rights,
    },
    ListAccess(&'b str),
    ListOwned,
    ListObtained,
    MayMake,
    IsPrivileged,
}

impl<'b> Command<'b> {
    fn prepare(
        decoded: &'b Decoded<'b>,
        entropy: &mut dyn Entropy,
        now: Timestamp,
    ) -> Result<Command<'b>, Stop> {
        Ok(match decoded {
            Decoded::Kmip(document) => {
                let dialect = document.dialect;
                let refused = |refusal| Stop::refused(&refusal, dialect);
                let mut request =
                    Request::decode(document.root, &document.fields, None, dialect).map_err(refused)?;
                request.prepare(entropy, now).map_err(refused)?;
                Command::Kmip(request, dialect)
            }
            Decoded::Message { root, fields, encoding } => match RequestMessage::read(root, fields) {
                Ok(message) => Command::Batch(message, *encoding),
                Err(why) => return Ok(Command::NoMessage(why, *encoding)),
            },
            Decoded::NoMessage(why, encoding) => Command::NoMessage(why.clone(), *encoding),
            Decoded::ChangeAccess(direction, request) => {
                let mut rights = Rights::NONE;
                for name in &request.operations {
                    rights = rights.with(Rights::named(name).ok_or_else(|| Stop::Told {
                        status: 400,
                        reason: result_reason::INVALID_MESSAGE,
                        text: format!(
                            "Json deserialize error: unknown variant `{name}`, expected an operation"
                        ),
                    })?);
                }
                Command::ChangeAccess {
                    direction: *direction,
                    uid: request.unique_identifier,
                    user: request.user_id,
                    rights,
                }
            }
            Decoded::ListAccess(uid) => Command::ListAccess(uid),
            Decoded::ListOwned => Command::ListOwned,
            Decoded::ListObtained => Command::ListObtained,
            Decoded::MayMake => Command::MayMake,
            Decoded::IsPrivileged => Command::IsPrivileged,
        })
    }

    /// Decides.
    pub fn execute(
        self,
        view: &dyn View,
        asker: &Asker,
        nonces: &Ledger<'_>,
    ) -> Result<(Outcome<'b>, Changes), Stop> {
        let principal = &asker.principal;
        let failed = |failure| Stop::failed(failure, Dialect::V4);
        let mut json = Vec::new();
        let changes = match self {
            Command::Kmip(request, dialect) => {
                let Asker { standing, now, streams, .. } = asker;
                let (standing, now, is_alone, effort) = (*standing, *now, true, &Effort::default());
                let context =
                    Context { view, principal, standing, now, dialect, streams, nonces, effort, is_alone };
                let (decided, changes) =
                    request.execute(&context).map_err(|failure| Stop::failed(failure, dialect))?;
                return Ok((Outcome::Kmip(decided, dialect), changes));
            }
            Command::Batch(..) => unreachable!("a batch is run, not executed"),
            Command::NoMessage(why, encoding) => {
                let mut body = Buffer::default();
                let mut response = ResponseMessage::begin(None, encoding, asker.now, &mut body);
                response.refused(&why);
                response.end();
                let batch = Batch { encoding, is_undone: false };
                return Ok((Outcome::Batch(batch, body), Changes::new()));
            }
            Command::ChangeAccess { direction, uid, user, rights } => {
                let changes = match uid {
                    Some(uid) => access::change(view, principal, direction, uid, user, rights),
                    None => access::change_making(view, asker.standing, direction, user, rights),
                };
                listing::write_changed(user, direction == Direction::Grant, &mut json);
                changes.map_err(failed)?
            }
            Command::ListAccess(uid) => {
                let grants = access::list(view, principal, uid).map_err(failed)?;
                listing::write_grants(
                    grants.iter().map(|(user, rights)| (user.as_str(), rights.names())),
                    &mut json,
                );
                Changes::new()
            }
            Command::MayMake => {
                let may = policy::may_make(view, principal, asker.standing);
                let may = may.map_err(|error| failed(error.into()))?;
                json.extend_from_slice(format!("{{\"has_create_permission\":{may}}}").as_bytes());
                Changes::new()
            }
            Command::IsPrivileged => {
                let is_privileged = asker.standing == Standing::Privileged;
                json.extend_from_slice(format!("{{\"has_privileged_access\":{is_privileged}}}").as_bytes());
                Changes::new()
            }
            Command::ListOwned => {
                let mut list = listing::Listing::begin(&mut json);
                access::each_owned(view, principal, asker.now, |uid, state, attributes| {
                    list.owned(uid, state.name(), attributes);
                    not_too_long(&list)
                })
                .map_err(failed)?;
                list.end();
                Changes::new()
            }
            Command::ListObtained => {
                let mut list = listing::Listing::begin(&mut json);
                access::each_obtained(view, principal, asker.now, |uid, owner, state, rights| {
                    list.obtained(uid, owner, state.name(), rights.names());
                    not_too_long(&list)
                })
                .map_err(failed)?;
                list.end();
                Changes::new()
            }
        };
        Ok((Outcome::Json(json), changes))
    }
}

fn not_too_long(list: &listing::Listing<'_>) -> Result<(), Refusal> {
    if list.bytes() <= limits::LIST_BYTES_MAX {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "the list has more than {} bytes: use Locate, which answers with identifiers alone",
        limits::LIST_BYTES_MAX
    )))
}

/// A decided and, where it changed something, committed request.
pub enum Outcome<'b> {
    Kmip(Decided<'b>, Dialect),
    /// With its answer, as far as that was not given out at once.
    Batch(Batch, Buffer),
    Json(Vec<u8>),
}

impl Outcome<'_> {
    /// The last stages. What they decide is added to `decisions`, which has all of a batch already, and the one of any other
    /// request.
    pub fn finish(
        self,
        entropy: &mut dyn Entropy,
        decisions: &mut [Decision],
        out: &mut Vec<u8>,
    ) -> Result<Answer, Stop> {
        match self {
            Outcome::Kmip(decided, dialect) => decided
                .finish(entropy, &mut |root, fields| {
                    if let Some(decision) = decisions.first_mut() {
                        decision::add_answered(decision, fields);
                    }
                    dialect::encode(dialect, root, fields, out);
                })
                .map_err(|failure| Stop::failed(failure, dialect))?,
            Outcome::Batch(batch, body) => {
                out.extend_from_slice(&body);
                return Ok(Answer::encoded(batch.encoding));
            }
            Outcome::Json(json) => out.extend_from_slice(&json),
        }
        Ok(Answer::JSON)
    }
}
