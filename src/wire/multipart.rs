//! `multipart/form-data` bodies (RFC 7578, RFC 2046 section 5.1): as much as an upload of one file needs.
#![forbid(unsafe_code)]

/// Parts of one body.
const PARTS_MAX: usize = 16;
/// Bytes of a boundary (RFC 2046 section 5.1.1).
const BOUNDARY_BYTES_MAX: usize = 70;
/// Bytes of the header fields of one part.
const FIELDS_BYTES_MAX: usize = 4096;

/// Why a body cannot be read: one sentence.
pub type Fault = &'static str;

/// The boundary in a `Content-Type`; `None` where that is not `multipart/form-data`.
pub fn boundary(content_type: &str) -> Option<&str> {
    let (kind, parameters) = content_type.split_once(';')?;
    kind.trim().eq_ignore_ascii_case("multipart/form-data").then_some(())?;
    let boundary = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim())
    })?;
    let boundary = boundary.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(boundary);
    let is_legal = (1..=BOUNDARY_BYTES_MAX).contains(&boundary.len())
        && boundary.bytes().all(|byte| (b' '..0x7f).contains(&byte));
    is_legal.then_some(boundary)
}

/// The contents of all parts of the type `application/octet-stream`, one after the other: so the old server took files,
/// whatever their parts are called. Other parts are passed over.
pub fn octet_streams<'b>(body: &'b [u8], boundary: &str) -> Result<Vec<&'b [u8]>, Fault> {
    let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
    // The first delimiter may begin the body.
    let mut rest = match body.strip_prefix(&delimiter[2..]) {
        Some(rest) => rest,
        None => after(body, &delimiter).ok_or("the boundary does not occur")?,
    };
    let mut found = Vec::new();
    for _ in 0..PARTS_MAX {
        if rest.starts_with(b"--") {
            return Ok(found);
        }
        // White space may follow a boundary on its line.
        let line = rest.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(rest.len());
        let part = rest[line..].strip_prefix(b"\r\n").ok_or("a boundary does not end its line")?;
        // A part without fields begins with the empty line itself.
        let (fields, content) = match part.strip_prefix(b"\r\n") {
            Some(content) => (&[][..], content),
            None => {
                let window = &part[..part.len().min(FIELDS_BYTES_MAX)];
                let end = position(window, b"\r\n\r\n").ok_or("the header fields of a part do not end")?;
                (&part[..end], &part[end + 4..])
            }
        };
        // The end of the fields may be the beginning of the delimiter of an empty part.
        let (content, next) = match content.strip_prefix(&delimiter[2..]) {
            Some(next) => (&[][..], next),
            None => {
                let end = position(content, &delimiter).ok_or("the last boundary is missing")?;
                (&content[..end], &content[end + delimiter.len()..])
            }
        };
        if is_octet_stream(fields) {
            found.push(content);
        }
        rest = next;
    }
    Err("there are too many parts")
}

fn is_octet_stream(fields: &[u8]) -> bool {
    let lines = fields.split(|byte| *byte == b'\n');
    lines.filter_map(|line| std::str::from_utf8(line).ok()?.trim().split_once(':')).any(|(name, value)| {
        let kind = value.split(';').next().unwrap_or_default();
        name.eq_ignore_ascii_case("content-type")
            && kind.trim().eq_ignore_ascii_case("application/octet-stream")
    })
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn after<'b>(bytes: &'b [u8], wanted: &[u8]) -> Option<&'b [u8]> {
    position(bytes, wanted).map(|at| &bytes[at + wanted.len()..])
}

/// No part is longer than the body, and what was found is in it.
#[cfg(any(test, feature = "testing"))]
pub fn fuzz(data: &[u8]) {
    let (head, body) = data.split_at(data.len().min(16));
    let text = String::from_utf8_lossy(head);
    let content_type = format!("multipart/form-data; boundary={text}");
    let boundary = boundary(&content_type).unwrap_or("b");
    if let Ok(parts) = octet_streams(body, boundary) {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        assert!(bytes <= body.len());
        let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
        assert!(
            parts.iter().all(|part| position(part, &delimiter).is_none()),
            "a part ends at its delimiter"
        );
        // Written anew, the same parts are read.
        let mut again = Vec::new();
        for part in &parts {
            again.extend_from_slice(
                format!("--{boundary}\r\ncontent-type: application/octet-stream\r\n\r\n").as_bytes(),
            );
            again.extend_from_slice(part);
            again.extend_from_slice(b"\r\n");
        }
        again.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        if !parts.is_empty() && parts.len() < PARTS_MAX {
            assert!(octet_streams(&again, boundary).as_ref() == Ok(&parts), "what is written is read");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As curl sends `-F name=pkcs12 -F file=@x.p12`.
    const BODY: &[u8] = b"--xyz\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\npkcs12\r\n--xyz\r\n\
        Content-Disposition: form-data; name=\"file\"; filename=\"x.p12\"\r\nContent-Type: application/octet-stream\r\n\r\n\
        \x30\x82\r\n--xy\r\n--xyz--\r\n";

    #[test]
    fn files_are_found_and_fields_passed_over() {
        assert_eq!(octet_streams(BODY, "xyz"), Ok(vec![&b"\x30\x82\r\n--xy"[..]]));
        let preamble = [b"preamble\r\n", BODY].concat();
        assert_eq!(octet_streams(&preamble, "xyz").unwrap().len(), 1);
        assert_eq!(octet_streams(b"--a\r\n\r\nx\r\n--a--", "a"), Ok(vec![]));
        let empty = b"--a\r\nContent-Type:application/octet-stream\r\n\r\n\r\n--a--";
        assert_eq!(octet_streams(empty, "a"), Ok(vec![&b""[..]]));
    }

    #[test]
    fn what_is_cut_or_wrong_is_refused() {
        for end in 0..BODY.len() - 4 {
            assert!(octet_streams(&BODY[..end], "xyz").is_err(), "{end}");
        }
        assert!(octet_streams(BODY, "other").is_err());
        let many = [b"--a\r\n\r\n\r\n".repeat(20), b"--a--".to_vec()].concat();
        assert!(octet_streams(&many, "a").is_err());
        let long = [b"--a\r\nx: ", "y".repeat(5000).as_bytes(), b"\r\n\r\n\r\n--a--"].concat();
        assert!(octet_streams(&long, "a").is_err());
    }

    #[test]
    fn boundaries_are_read_with_and_without_quotes() {
        assert_eq!(boundary("multipart/form-data; boundary=abc"), Some("abc"));
        assert_eq!(boundary("Multipart/Form-Data;charset=x; Boundary=\"a b\""), Some("a b"));
        for other in
            ["multipart/form-data", "multipart/mixed; boundary=a", "application/json; boundary=a", ""]
        {
            assert_eq!(boundary(other), None, "{other}");
        }
        assert_eq!(boundary(&format!("multipart/form-data; boundary={}", "x".repeat(71))), None);
    }
}
