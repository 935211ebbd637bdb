//! The bodies of `/access/grant` and `/access/revoke`.
#![forbid(unsafe_code)]

/// Who is to be given, or to lose, which rights on what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRequest<'a> {
    /// The object; absent for rights that belong to no object (`create`).
    pub unique_identifier: Option<&'a str>,
    /// The user, or `*` for everybody.
    pub user_id: &'a str,
    /// The names of operations as they were written, at least one.
    pub operations: Vec<&'a str>,
}

/// Reads a body of either dialect: `operation_type` (4.9.1) or `operation_types` (5.x).
///
/// The error is the text that clients print after `Json deserialize error: `.
pub fn parse(_body: &mut [u8]) -> Result<AccessRequest<'_>, String> {
    unreachable!("soon")
}
