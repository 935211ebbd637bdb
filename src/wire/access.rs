//! The bodies of `/access/grant` and `/access/revoke`.
#![forbid(unsafe_code)]

use super::json::{Error, Lexer};

/// Operations in one request: there are 24 names.
const OPERATIONS_MAX: usize = 64;

/// Who is to be given, or to lose, which rights on what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRequest<'a> {
    /// The object; absent for rights that belong to no object (`create`).
    pub unique_identifier: Option<&'a str>,
    /// The user, or `*` for everybody.
    pub user_id: &'a str,
    /// The names of operations as they were written. 5.x may send none.
    pub operations: Vec<&'a str>,
}

/// Reads a body of either dialect: `operation_type` (4.9.1) or `operation_types` (5.x). Other members are ignored.
///
/// The error is the text that clients print after `Json deserialize error: `.
pub fn parse(body: &mut [u8]) -> Result<AccessRequest<'_>, String> {
    read(&mut Lexer::new(body)).map_err(|error| error.to_string())
}

fn read<'a>(lexer: &mut Lexer<'a>) -> Result<AccessRequest<'a>, Error> {
    let (mut unique_identifier, mut user_id, mut operations) = (None, None, None);
    lexer.open_object()?;
    while let Some(name) = lexer.member()? {
        let duplicate = match name {
            "unique_identifier" if lexer.null()? => false,
            "unique_identifier" => unique_identifier.replace(lexer.string()?).is_some(),
            "user_id" => user_id.replace(lexer.string()?).is_some(),
            "operation_type" => operations.replace(vec![lexer.string()?]).is_some(),
            "operation_types" => operations.replace(names(lexer)?).is_some(),
            _ => {
                lexer.skip()?;
                false
            }
        };
        if duplicate {
            return Err(lexer.data(format!("duplicate field `{name}`")));
        }
    }
    let user_id = user_id.ok_or_else(|| lexer.data("missing field `user_id`"))?;
    let operations = operations.ok_or_else(|| lexer.data("missing field `operation_type`"))?;
    lexer.end()?;
    Ok(AccessRequest { unique_identifier, user_id, operations })
}

fn names<'a>(lexer: &mut Lexer<'a>) -> Result<Vec<&'a str>, Error> {
    let mut names = Vec::new();
    lexer.open_array()?;
    while lexer.element()? {
        if names.len() == OPERATIONS_MAX {
            return Err(lexer.data("too many operations"));
        }
        names.push(lexer.string()?);
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_dialects_are_read() {
        let mut body = *br#"{"unique_identifier":"k1","user_id":"bob","operation_type":"get"}"#;
        assert_eq!(
            parse(&mut body),
            Ok(AccessRequest { unique_identifier: Some("k1"), user_id: "bob", operations: vec!["get"] })
        );
        let mut body = *br#"{ "user_id":"*", "more":[{}], "operation_types":["create","get"] }"#;
        assert_eq!(
            parse(&mut body),
            Ok(AccessRequest { unique_identifier: None, user_id: "*", operations: vec!["create", "get"] })
        );
    }

    #[test]
    fn faults_are_told_in_the_words_that_clients_know() {
        for (body, message) in [
            (r#"{"user_id":"bob"}"#, "missing field `operation_type` at line 1 column 17"),
            (r#"{"operation_type":"get"}"#, "missing field `user_id` at line 1 column 24"),
            ("", "EOF while parsing a value at line 1 column 0"),
            ("not json", "expected ident at line 1 column 2"),
            ("{\"user_id\":\"b\"", "EOF while parsing an object at line 1 column 14"),
            (r#"{"user_id":"a","user_id":"b"}"#, "duplicate field `user_id` at line 1 column 28"),
        ] {
            assert_eq!(parse(&mut body.as_bytes().to_vec()), Err(message.to_owned()), "{body}");
        }
        let many = format!(r#"{{"user_id":"b","operation_types":[{}"get"]}}"#, r#""get","#.repeat(64));
        assert!(parse(&mut many.into_bytes()).is_err());
    }
}
