//! Messages: several operations in one request (KMIP 2.1 section 9), in each of their encodings. 4.9.1 calls the parts of
//! a message otherwise; [`dialect`](super::dialect) sees to that.
#![forbid(unsafe_code)]

use super::dialect::{self, Dialect};
use super::enumeration::{
    asynchronous_indicator, batch_error_continuation_option, operation, result_reason, result_status,
};
use crate::limits;
use crate::secret::Buffer;
use crate::time::Timestamp;
use crate::wire::ttlv::{Children, Fields, Item, Tag, Value, binary};
use std::ops::Range;

/// How a message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As JSON, in a dialect.
    Json(Dialect),
    /// As binary TTLV (KMIP 2.1 section 10.1).
    Binary,
}

impl Encoding {
    /// Whose rules apply where dialects differ.
    pub fn dialect(self) -> Dialect {
        match self {
            Encoding::Json(dialect) => dialect,
            Encoding::Binary => Dialect::V5,
        }
    }
}

/// What a failed item means for the others (KMIP 2.1 section 9.2, Batch Error Continuation Option).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// The items after it are done.
    Continue,
    /// They are not; those before it stay done.
    Stop,
    /// Nothing is done.
    Undo,
}

/// A request with a batch of operations.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestMessage<'r> {
    /// Major and minor version of the protocol.
    pub version: (i32, i32),
    /// The longest answer that the client can take, in bytes.
    pub response_bytes_max: Option<usize>,
    /// What a failed item means for the others.
    pub on_error: OnError,
    /// To be repeated in the answer.
    pub correlation: Option<&'r str>,
    /// The operations, in order.
    pub items: Vec<BatchItem<'r>>,
}

/// One operation of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchItem<'r> {
    /// KMIP's code of the operation, known or not.
    pub operation: u32,
    /// To be repeated in the answer.
    pub id: Option<&'r [u8]>,
    /// Whether the `Data` of the answer are not to be sent.
    pub is_ephemeral: bool,
    /// The fields of the request.
    pub payload: &'r [Item<'r>],
}

/// Why a message is refused as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// KMIP's result reason.
    pub reason: u32,
    /// For the client's eyes.
    pub text: String,
}

impl Malformed {
    /// The message is not what the specification says.
    pub fn message(text: impl Into<String>) -> Malformed {
        Malformed { reason: result_reason::INVALID_MESSAGE, text: text.into() }
    }
}

/// The fields of a `RequestMessage` in binary TTLV.
pub fn decode_binary(body: &[u8]) -> Result<Children<'_>, Malformed> {
    let items = binary::decode(body).map_err(|error| Malformed::message(error.to_string()))?;
    match <[Item<'_>; 1]>::try_from(items) {
        Ok([Item { tag: Tag::REQUEST_MESSAGE, value: Value::Structure(fields) }]) => Ok(fields),
        _ => Err(Malformed::message("the body is not one RequestMessage")),
    }
}

impl<'r> RequestMessage<'r> {
    /// Reads the fields of a message, whose root was written as this.
    pub fn read(root: &str, fields: &'r [Item<'r>]) -> Result<RequestMessage<'r>, Malformed> {
        let is_old = root == "Message";
        let root = Fields(fields);
        let missing = |name: &str| Malformed::message(format!("missing field `{name}`"));
        let header = root.structure(Tag::REQUEST_HEADER).ok_or_else(|| missing("RequestHeader"))?;
        let version = header.structure(Tag::PROTOCOL_VERSION).ok_or_else(|| missing("ProtocolVersion"))?;
        let part = |tag: Tag| version.integer(tag).ok_or_else(|| missing("ProtocolVersionMajor"));
        let version = (part(Tag::PROTOCOL_VERSION_MAJOR)?, part(Tag::PROTOCOL_VERSION_MINOR)?);
        if !PROTOCOL_VERSIONS.contains(&version) {
            let (major, minor) = version;
            return Err(Malformed {
                reason: result_reason::UNSUPPORTED_PROTOCOL_VERSION,
                text: format!("version {major}.{minor} of the protocol is not spoken here: 2.1 and 2.0 are"),
            });
        }
        if matches!(
            header.get(Tag::ASYNCHRONOUS_INDICATOR),
            Some(Value::Enumeration(asynchronous_indicator::MANDATORY) | Value::Boolean(true))
        ) {
            return Err(Malformed {
                reason: result_reason::FEATURE_NOT_SUPPORTED,
                text: "this server answers at once: AsynchronousIndicator cannot be Mandatory".into(),
            });
        }
        let mut items = Vec::new();
        for item in root.all(Tag::BATCH_ITEM) {
            if items.len() == limits::BATCH_ITEMS_MAX {
                return Err(Malformed {
                    reason: result_reason::SERVER_LIMIT_EXCEEDED,
                    text: format!("a message has at most {} batch items", limits::BATCH_ITEMS_MAX),
                });
            }
            items.push(BatchItem::read(item)?);
        }
        if header.integer(Tag::BATCH_COUNT).is_none_or(|count| usize::try_from(count) != Ok(items.len())) {
            return Err(Malformed::message(format!(
                "BatchCount is not {}, the number of items",
                items.len()
            )));
        }
        let on_error = match header.enumeration(Tag::BATCH_ERROR_CONTINUATION_OPTION) {
            Some(batch_error_continuation_option::CONTINUE) => OnError::Continue,
            Some(batch_error_continuation_option::UNDO) => OnError::Undo,
            Some(batch_error_continuation_option::STOP) => OnError::Stop,
            // In 4.9.1 no item depends on another; KMIP's default is to stop.
            None if is_old => OnError::Continue,
            None => OnError::Stop,
            Some(_) => return Err(Malformed::message("BatchErrorContinuationOption has no such value")),
        };
        let response_bytes_max = header
            .integer(Tag::MAXIMUM_RESPONSE_SIZE)
            .map(|bytes| {
                usize::try_from(bytes).map_err(|_| Malformed::message("MaximumResponseSize is negative"))
            })
            .transpose()?;
        let correlation = header.text(Tag::CLIENT_CORRELATION_VALUE);
        if correlation.is_some_and(|text| text.len() > limits::NAME_BYTES_MAX) {
            return Err(Malformed::message("ClientCorrelationValue is too long"));
        }
        Ok(RequestMessage { version, response_bytes_max, on_error, correlation, items })
    }
}

/// The versions that are spoken here, the preferred one first. What 2.1 has beyond 2.0, a client of 2.0 does not ask for.
pub const PROTOCOL_VERSIONS: [(i32, i32); 2] = [(2, 1), (2, 0)];

impl<'r> BatchItem<'r> {
    fn read(item: &'r Value<'r>) -> Result<BatchItem<'r>, Malformed> {
        let wrong =
            || Malformed::message("a BatchItem has an Operation, and a RequestPayload that is a structure");
        let fields = Fields(item.children().ok_or_else(wrong)?);
        let id = fields.bytes(Tag::UNIQUE_BATCH_ITEM_ID);
        if id.is_some_and(|id| id.len() > limits::NAME_BYTES_MAX) {
            let most = limits::NAME_BYTES_MAX;
            return Err(Malformed::message(format!("UniqueBatchItemID may have {most} bytes at most")));
        }
        // Whoever does not understand what is critical refuses the message (KMIP 2.1 section 9.2, Criticality Indicator).
        let mut extensions = fields.all(Tag::MESSAGE_EXTENSION).filter_map(Value::children);
        if extensions.any(|extension| Fields(extension).boolean(Tag::CRITICALITY_INDICATOR) == Some(true)) {
            return Err(Malformed {
                reason: result_reason::FEATURE_NOT_SUPPORTED,
                text: "this server knows no MessageExtension, and one is critical".into(),
            });
        }
        Ok(BatchItem {
            operation: fields.enumeration(Tag::OPERATION).ok_or_else(wrong)?,
            id,
            is_ephemeral: fields.boolean(Tag::EPHEMERAL) == Some(true),
            payload: match fields.get(Tag::REQUEST_PAYLOAD) {
                None => &[],
                Some(payload) => payload.children().ok_or_else(wrong)?,
            },
        })
    }

    /// The name of the operation, as JSON has it.
    pub fn name(&self) -> &'static str {
        operation::ALL.name(self.operation).unwrap_or("(unknown)")
    }
}

/// The answers to the items of a message, in order, and what is around them: appended to a buffer as they come.
pub struct ResponseMessage<'r, 'o> {
    encoding: Encoding,
    version: (i32, i32),
    correlation: Option<&'r str>,
    now: Timestamp,
    /// The answers that the header announces, and those that are there.
    announced: usize,
    count: usize,
    out: &'o mut Vec<u8>,
    /// Where the message begins, and its items.
    start: usize,
    items_start: usize,
    /// In JSON: how the last answer begins that has a payload and no identifier, of which operation, and where it stands.
    beginning: Option<(u32, Range<usize>)>,
}

impl<'r, 'o> ResponseMessage<'r, 'o> {
    /// No answers yet, to this message or to what could not be read as one.
    pub fn begin(
        request: Option<&RequestMessage<'r>>,
        encoding: Encoding,
        now: Timestamp,
        out: &'o mut Vec<u8>,
    ) -> ResponseMessage<'r, 'o> {
        let start = out.len();
        let mut message = ResponseMessage {
            encoding,
            version: request.map_or(PROTOCOL_VERSIONS[0], |request| request.version),
            correlation: request.and_then(|request| request.correlation),
            now,
            announced: request.map_or(1, |request| request.items.len()),
            count: 0,
            out,
            start,
            items_start: start,
            beginning: None,
        };
        message.restart();
        message
    }

    /// Takes all answers back.
    pub fn restart(&mut self) {
        self.out.truncate(self.start);
        self.open();
        self.count = 0;
        self.beginning = None;
    }

    /// Adds the answer to an item that was done; `false`, and nothing is added, where the message would become longer
    /// than this.
    #[must_use = "what is too long is no success"]
    pub fn succeeded(&mut self, item: &BatchItem<'_>, payload: &[Item<'_>], bytes_max: usize) -> bool {
        let before = (self.out.len(), self.count);
        let [operation, status] = item.answered(result_status::SUCCESS);
        match (item.id_field(), self.encoding) {
            (None, Encoding::Json(dialect)) => {
                self.count += 1;
                self.open_alike(item.operation, &[operation, status], dialect);
                dialect::close_answer(dialect, Some(payload), self.out);
            }
            (None, Encoding::Binary) => self.push(&[operation, status], Some(payload)),
            (Some(id), _) => self.push(&[operation, id, status], Some(payload)),
        }
        let fits = self.bytes() <= bytes_max;
        if !fits {
            self.out.truncate(before.0);
            self.count = before.1;
            self.beginning = None;
        }
        fits
    }

    /// The bytes of the message, as if it ended here.
    pub fn bytes(&self) -> usize {
        self.out.len() - self.start + self.closing().len()
    }

    /// Adds the answer to an item that was refused.
    pub fn failed(&mut self, item: &BatchItem<'_>, reason: u32, text: &str) {
        let why = [Item::enumeration(Tag::RESULT_REASON, reason), Item::text(Tag::RESULT_MESSAGE, text)];
        self.not_done(item, result_status::OPERATION_FAILED, why);
    }

    /// Adds the answer to an item that was done and is undone.
    pub fn undone(&mut self, item: &BatchItem<'_>) {
        self.not_done(item, result_status::OPERATION_UNDONE, []);
    }

    fn not_done<'f>(
        &mut self,
        item: &'f BatchItem<'_>,
        status: u32,
        why: impl IntoIterator<Item = Item<'f>>,
    ) {
        let [operation, status] = item.answered(status);
        let fields: Vec<_> =
            [Some(operation), item.id_field(), Some(status)].into_iter().flatten().chain(why).collect();
        self.push(&fields, None);
    }

    /// Adds the one answer to what cannot be read as a message.
    pub fn refused(&mut self, why: &Malformed) {
        let fields = [
            Item::enumeration(Tag::RESULT_STATUS, result_status::OPERATION_FAILED),
            Item::enumeration(Tag::RESULT_REASON, why.reason),
            Item::text(Tag::RESULT_MESSAGE, why.text.as_str()),
        ];
        self.push(&fields, None);
    }

    /// No more answers come.
    pub fn end(mut self) {
        if self.count != self.announced {
            let items = Buffer::new(self.out[self.items_start..].to_vec());
            self.announced = self.count;
            self.out.truncate(self.start);
            self.open();
            self.out.extend_from_slice(&items);
        }
        self.out.extend_from_slice(self.closing());
        if self.encoding == Encoding::Binary {
            binary::close_structure(self.start, self.out);
        }
    }

    /// Begins an answer with these fields, which say nothing but the operation and that it was done. Most items of a long
    /// batch are of one operation: what is already written once is copied.
    fn open_alike(&mut self, operation: u32, fields: &[Item<'_>], dialect: Dialect) {
        let has_sibling = self.out.last() == Some(&b'}');
        if let Some((known, beginning)) = &self.beginning
            && *known == operation
        {
            self.out.extend(has_sibling.then_some(b','));
            self.out.extend_from_within(beginning.clone());
            return;
        }
        let start = self.out.len() + usize::from(has_sibling);
        dialect::open_answer(dialect, fields, true, self.out);
        self.beginning = Some((operation, start..self.out.len()));
    }

    fn push(&mut self, fields: &[Item<'_>], payload: Option<&[Item<'_>]>) {
        self.count += 1;
        match self.encoding {
            Encoding::Json(dialect) => {
                dialect::open_answer(dialect, fields, payload.is_some(), self.out);
                dialect::close_answer(dialect, payload, self.out);
            }
            Encoding::Binary => {
                let item = binary::open_structure(Tag::BATCH_ITEM, self.out);
                binary::encode(fields, self.out);
                if let Some(payload) = payload {
                    let start = binary::open_structure(Tag::RESPONSE_PAYLOAD, self.out);
                    binary::encode(payload, self.out);
                    binary::close_structure(start, self.out);
                }
                binary::close_structure(item, self.out);
            }
        }
    }

    /// Writes what comes before the items.
    fn open(&mut self) {
        let (major, minor) = self.version;
        let version = vec![
            Item::integer(Tag::PROTOCOL_VERSION_MAJOR, major),
            Item::integer(Tag::PROTOCOL_VERSION_MINOR, minor),
        ];
        let mut header =
            vec![Item::structure(Tag::PROTOCOL_VERSION, version), Item::date_time(Tag::TIME_STAMP, self.now)];
        header.extend(self.correlation.map(|text| Item::text(Tag::CLIENT_CORRELATION_VALUE, text)));
        header.push(Item::integer(Tag::BATCH_COUNT, self.announced as i32));
        let header = Item::structure(Tag::RESPONSE_HEADER, header);
        match self.encoding {
            Encoding::Json(dialect) => dialect::open_message(dialect, &header, self.announced > 0, self.out),
            Encoding::Binary => {
                binary::open_structure(Tag::RESPONSE_MESSAGE, self.out);
                binary::encode(std::slice::from_ref(&header), self.out);
            }
        }
        self.items_start = self.out.len();
    }

    /// What comes after the items.
    fn closing(&self) -> &'static [u8] {
        match self.encoding {
            Encoding::Json(dialect) => dialect::message_end(dialect, self.announced > 0),
            Encoding::Binary => b"",
        }
    }
}

impl BatchItem<'_> {
    /// The operation and the status, between which an identifier stands.
    fn answered(&self, status: u32) -> [Item<'static>; 2] {
        [Item::enumeration(Tag::OPERATION, self.operation), Item::enumeration(Tag::RESULT_STATUS, status)]
    }

    fn id_field(&self) -> Option<Item<'_>> {
        self.id.map(|id| Item::bytes(Tag::UNIQUE_BATCH_ITEM_ID, id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ttlv::Arena;

    /// An operation, an identifier, and the longest message in bytes.
    type Done = (u32, Option<&'static [u8]>, usize);

    /// What a client reads of the answers to these, and which of them were added.
    fn answers(dialect: Dialect, done: &[Done]) -> (Vec<String>, Vec<bool>) {
        let (mut out, arena) = (Vec::new(), Arena::new());
        let now = Timestamp::from_unix(0);
        let mut message = ResponseMessage::begin(None, Encoding::Json(dialect), now, &mut out);
        let added = done.iter().map(|&(operation, id, bytes_max)| {
            let payload = [Item::text(Tag::UNIQUE_IDENTIFIER, format!("of {operation}"))];
            message.succeeded(
                &BatchItem { operation, id, is_ephemeral: false, payload: &[] },
                &payload,
                bytes_max,
            )
        });
        let added = added.collect();
        message.end();
        let read = dialect::decode(&mut out, &arena).unwrap();
        let items = read.fields.iter().filter(|item| item.tag == Tag::BATCH_ITEM);
        (items.map(|item| format!("{:?}", item.value)).collect(), added)
    }

    #[test]
    fn answers_that_begin_alike_are_what_they_are_alone() {
        const NONE: Option<&[u8]> = None;
        let (encrypt, get) = (operation::ENCRYPT, operation::GET);
        let fitting = [
            (encrypt, NONE, usize::MAX),
            (encrypt, NONE, usize::MAX),
            (get, NONE, usize::MAX),
            (get, Some(&b"1"[..]), usize::MAX),
            (get, NONE, usize::MAX),
            (encrypt, NONE, usize::MAX),
        ];
        for dialect in [Dialect::V4, Dialect::V5] {
            let alone = fitting.iter().flat_map(|one| answers(dialect, &[*one]).0);
            assert_eq!(answers(dialect, &fitting).0, alone.collect::<Vec<_>>());
            // The beginning that another one would copy is taken back with an answer that is too long.
            let mut some = fitting.to_vec();
            some[2].2 = 1;
            let (all, added) = answers(dialect, &some);
            assert_eq!(added, [true, true, false, true, true, true]);
            some.remove(2);
            assert_eq!(all, answers(dialect, &some).0);
        }
    }
}
