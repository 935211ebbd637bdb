//! stub
#![forbid(unsafe_code)]
#![allow(missing_docs, unused)]
pub mod head {
    pub use super::*;
    #[derive(Clone, Copy, PartialEq, Debug)]
    pub enum Method {
        Get,
        Head,
        Post,
        Options,
        Other,
    }
    #[derive(Clone, Copy, PartialEq, Debug)]
    pub enum Framing {
        None,
        Length(u64),
        Chunked,
    }
    pub struct Head<'a> {
        pub method: Method,
        pub path: &'a str,
        pub keep_alive: bool,
        pub version: Version,
        pub origin: Option<&'a str>,
        pub access_control_request_headers: Option<&'a str>,
        pub framing: Framing,
        pub expect_continue: bool,
    }
    pub fn decode_segment(s: &str) -> Option<std::borrow::Cow<'_, str>> {
        None
    }
    pub fn parse<'a>(
        b: &'a [u8],
        l: &crate::limits::Limits,
        s: &mut usize,
    ) -> Result<Option<(Head<'a>, usize)>, Refusal> {
        Ok(None)
    }
}
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Version {
    Http10,
    Http11,
}
pub struct Refusal {
    pub status: u16,
    pub reason: &'static str,
}
pub mod body {
    use super::*;
    pub struct Decoder;
    impl Decoder {
        pub fn new(f: head::Framing, m: usize) -> Decoder {
            Decoder
        }
        pub fn is_complete(&self) -> bool {
            true
        }
        pub fn decode(&mut self, i: &[u8], o: &mut Vec<u8>) -> Result<usize, Refusal> {
            Ok(0)
        }
    }
}
pub mod response {
    use super::*;
    pub const CONTINUE: &[u8] = b"";
    pub const HEAD_BYTES_MAX: usize = 512;
    pub struct DateCache;
    impl DateCache {
        pub fn new(t: crate::time::Timestamp) -> DateCache {
            DateCache
        }
        pub fn update(&mut self, t: crate::time::Timestamp) {}
    }
    pub struct ResponseHead<'a> {
        pub status: u16,
        pub version: Version,
        pub content_type: Option<&'static str>,
        pub keep_alive: bool,
        pub origin: Option<&'a str>,
        pub retry_after_seconds: Option<u32>,
    }
    pub fn write(h: &ResponseHead, d: &DateCache, n: usize, o: &mut Vec<u8>) {}
    pub fn preflight(
        v: Version,
        k: bool,
        o: Option<&str>,
        h: Option<&str>,
        d: &DateCache,
        out: &mut Vec<u8>,
    ) {
    }
}
