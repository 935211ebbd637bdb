//! HTTP as RFC 9110 and RFC 9112 have it: every row of `conformance/http.txt` through sockets, cut in two at every place
//! and into single bytes.
//!
//! Behind every request goes a canary, which no other request resembles. After a row that leaves the connection open it
//! must get its own answer, and after all others none: so a row that ends elsewhere than the server thinks is found out.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use support::issuer::{Key, KeyServer, key_set};
use support::{Client, Scratch, Server, tcp};

const TABLE: &str = include_str!("conformance/http.txt");
/// A longer request is cut at so many places at its beginning, as many at its end, and some in between.
const CUTS_OF_LONG: usize = 64;
/// Connections side by side, each with a row of its own.
const ROWS_AT_ONCE: usize = 300;

/// A request, or several, and what must become of them.
struct Row {
    line: usize,
    /// Where it stands, and its first line.
    title: String,
    /// The bytes. Before each part but the first, the server must have asked for it by 100 (Continue).
    parts: Vec<Vec<u8>>,
    answers: Vec<Expected>,
    /// 100 (Continue) may come before any of the answers.
    may_continue: bool,
    ending: Ending,
    /// What the answers contain.
    texts: Vec<String>,
    /// The server asks for tokens, and gets none.
    of_strangers: bool,
}

/// A status, and whether the answer is one to HEAD, which has no content.
struct Expected {
    status: u16,
    is_head: bool,
}

/// What is of the connection after the answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// The next request is answered.
    Open,
    /// The server closes it.
    Close,
    /// The client ends in the middle of a request, and so does the server, without an answer.
    Cut,
}

/// The rows. A row begins with what must become of it: statuses (`HEAD:200` in answer to HEAD; `100?` where 100 (Continue) may
/// come) and an ending, then `|`, the section that demands it, and why. The indented lines below it are the bytes, joined,
/// with escapes; after `<`, what the answers must contain.
fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut of_strangers = false;
    for (number, line) in TABLE.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
        } else if line.starts_with('[') {
            of_strangers = line == "[Strangers]";
        } else if let Some(text) = line.strip_prefix("    < ") {
            rows.last_mut().unwrap().texts.push(text.to_owned());
        } else if let Some(text) = line.strip_prefix("    ") {
            let row = rows.last_mut().unwrap();
            for (at, text) in text.split(r"\{100}").enumerate() {
                if at > 0 {
                    row.parts.push(Vec::new());
                }
                row.parts.last_mut().unwrap().extend(unescape(text));
            }
        } else {
            let title = format!("line {}: {line}", number + 1);
            let [outcome, section, why] = line.splitn(3, " | ").collect::<Vec<_>>()[..] else {
                panic!("{title}: outcome | section | why")
            };
            assert!(!section.is_empty() && !why.is_empty(), "{title}");
            let mut words: Vec<&str> = outcome.split_whitespace().collect();
            let ending = match words.pop() {
                Some("open") => Ending::Open,
                Some("close") => Ending::Close,
                Some("cut") => Ending::Cut,
                _ => panic!("{title}: open, close or cut"),
            };
            let may_continue = words.first() == Some(&"100?");
            let answers = words[usize::from(may_continue)..].iter().map(|word| {
                let status = word.strip_prefix("HEAD:");
                Expected { status: status.unwrap_or(word).parse().unwrap(), is_head: status.is_some() }
            });
            let (answers, parts, texts) = (answers.collect(), vec![Vec::new()], Vec::new());
            let line = number + 1;
            rows.push(Row { line, title, parts, answers, may_continue, ending, texts, of_strangers });
        }
    }
    rows
}

/// The bytes that a text stands for: `\r`, `\n`, `\t`, `\\`, `\x00`, and `\{text*3}` for a text three times.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend(&rest.as_bytes()[..at]);
        let mut used = at + 2;
        match rest.as_bytes()[at + 1] {
            b'r' => bytes.push(b'\r'),
            b'n' => bytes.push(b'\n'),
            b't' => bytes.push(b'\t'),
            b'\\' => bytes.push(b'\\'),
            b'x' => {
                bytes.push(u8::from_str_radix(&rest[at + 2..at + 4], 16).unwrap());
                used = at + 4;
            }
            b'{' => {
                let end = at + rest[at..].find('}').unwrap();
                let (repeated, count) = rest[at + 2..end].rsplit_once('*').unwrap();
                bytes.extend(unescape(repeated).repeat(count.parse().unwrap()));
                used = end + 1;
            }
            other => panic!("{text}: \\{}", char::from(other)),
        }
        rest = &rest[used..];
    }
    bytes.extend(rest.as_bytes());
    bytes
}

impl Row {
    /// The ways to cut the bytes: in two at every place, before the first and behind the last as well, and into single bytes.
    /// The canary follows the last piece.
    fn cuts(&self) -> Vec<Vec<usize>> {
        let [request] = &self.parts[..] else { return vec![vec![]] };
        let length = request.len();
        let is_long = length > 8 * CUTS_OF_LONG;
        let is_cut = |at: &usize| {
            !is_long || *at < CUTS_OF_LONG || at + CUTS_OF_LONG > length || at.is_multiple_of(length / 16)
        };
        let mut cuts: Vec<Vec<usize>> = (0..=length).filter(is_cut).map(|at| vec![at]).collect();
        if !is_long {
            cuts.push((1..length).collect());
        }
        cuts
    }
}

/// The request behind a row, and its answer: nothing else ever mentions `uid`.
struct Canary {
    uid: String,
    is_stranger: bool,
}

impl Canary {
    fn behind(row: &Row, turn: usize) -> Canary {
        Canary { uid: format!("canary-{}-{turn}", row.line), is_stranger: row.of_strangers }
    }

    fn request(&self) -> Vec<u8> {
        let uid = &self.uid;
        if self.is_stranger {
            return format!("GET /version HTTP/1.1\r\nHost: h\r\nOrigin: http://{uid}\r\n\r\n").into_bytes();
        }
        let body = format!(
            r#"{{"tag":"Get","value":[{{"tag":"UniqueIdentifier","type":"TextString","value":"{uid}"}}]}}"#
        );
        let length = body.len();
        format!("POST /kmip/2_1 HTTP/1.1\r\nHost: h\r\nOrigin: http://{uid}\r\nContent-Length: {length}\r\n\r\n{body}")
            .into_bytes()
    }

    fn is_answered_by(&self, answer: &Answer) -> bool {
        let uid = &self.uid;
        let (status, body) = match self.is_stranger {
            true => (401, String::new()),
            false => (422, format!("Object_Not_Found: object not found for identifier {uid}")),
        };
        answer.status == status
            && answer.body == body.as_bytes()
            && answer.head.contains(&format!("\r\naccess-control-allow-origin: http://{uid}\r\n"))
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

/// The next answer; `None` where the server has closed the connection, or has reset it: it does not listen for long after
/// it has closed.
fn read_answer(stream: &mut BufReader<TcpStream>, is_head: bool) -> Result<Option<Answer>, String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let told = match stream.read_line(&mut head) {
            Err(error) if head.is_empty() && error.kind() == ErrorKind::ConnectionReset => Ok(0),
            told => told,
        };
        match told.map_err(|error| format!("{error} after {head:?}"))? {
            0 if head.is_empty() => return Ok(None),
            0 => return Err(format!("the server closed the connection after {head:?}")),
            _ => {}
        }
    }
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    let status: u16 = status.ok_or_else(|| format!("{head:?} is no answer"))?;
    let length =
        head.split_once("\r\ncontent-length:").map(|(_, rest)| rest.split("\r\n").next().unwrap().trim());
    let has_content = status >= 200 && status != 204;
    if has_content != length.is_some() || (status >= 200) != head.contains("\r\ndate: ") {
        return Err(format!("{head:?}: its length, or its date"));
    }
    let length = length.filter(|_| !is_head).map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).map_err(|error| format!("{error} in the content after {head:?}"))?;
    Ok(Some(Answer { status, head, body }))
}

/// A row on its way through its cuts.
struct Trial<'a> {
    row: &'a Row,
    cuts: Vec<Vec<usize>>,
    connection: Option<BufReader<TcpStream>>,
}

impl Trial<'_> {
    /// The bytes up to a cut, or behind the last one with all that follows.
    fn send(&mut self, turn: usize, piece: usize, port: u16) -> Result<(), String> {
        let connection = self.connection.get_or_insert_with(|| BufReader::new(tcp(port)));
        let cuts = &self.cuts[turn];
        let (last_part, earlier) = self.row.parts.split_last().unwrap();
        for part in earlier {
            write(connection, part)?;
            let answer = read_answer(connection, false)?;
            if answer.as_ref().map(|answer| answer.status) != Some(100) {
                return Err(format!("{answer:?} in place of 100"));
            }
        }
        let start = if piece == 0 { 0 } else { cuts[piece - 1] };
        if let Some(end) = cuts.get(piece) {
            return write(connection, &last_part[start..*end]);
        }
        let mut bytes = last_part[start..].to_vec();
        if self.row.ending != Ending::Cut {
            bytes.extend(Canary::behind(self.row, turn).request());
        }
        write(connection, &bytes)?;
        if self.row.ending == Ending::Cut {
            connection.get_ref().shutdown(Shutdown::Write).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Whether all answers are as they must be.
    fn judge(&mut self, turn: usize) -> Result<(), String> {
        let canary = Canary::behind(self.row, turn);
        let mut connection = self.connection.take().unwrap();
        let mut told = String::new();
        for (number, Expected { status, is_head }) in self.row.answers.iter().enumerate() {
            let mut answer = read_answer(&mut connection, *is_head)?;
            if self.row.may_continue && answer.as_ref().is_some_and(|answer| answer.status == 100) {
                answer = read_answer(&mut connection, *is_head)?;
            }
            let Some(answer) = answer.filter(|answer| answer.status == *status) else {
                return Err(format!("not {status} after:\n{told}"));
            };
            told += &answer.head;
            told += &String::from_utf8_lossy(&answer.body);
            let is_last = number + 1 == self.row.answers.len() && self.row.ending == Ending::Close;
            if answer.head.contains("\r\nconnection: close\r\n") != is_last {
                return Err(format!("does not say whether it is the last:\n{told}"));
            }
        }
        if let Some(text) = self.row.texts.iter().find(|text| !told.contains(*text)) {
            return Err(format!("no {text:?} in:\n{told}"));
        }
        let after = read_answer(&mut connection, false)?;
        match (self.row.ending, after) {
            (Ending::Open, Some(answer)) if canary.is_answered_by(&answer) => {
                if !connection.buffer().is_empty() {
                    return Err(format!("more than was asked for: {:?}", connection.buffer().escape_ascii()));
                }
                self.connection = Some(connection);
                Ok(())
            }
            (Ending::Close | Ending::Cut, None) => Ok(()),
            (_, after) => Err(format!("the canary got {after:?} after:\n{told}")),
        }
    }
}

fn write(connection: &mut BufReader<TcpStream>, bytes: &[u8]) -> Result<(), String> {
    match connection.get_mut().write_all(bytes) {
        // The server has answered already and is gone: the answer can still be read.
        Err(error) if [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset].contains(&error.kind()) => Ok(()),
        written => written.map_err(|error| error.to_string()),
    }
}

/// Sends the rows side by side, turn by turn and piece by piece, and tells those that do not hold.
fn try_rows(rows: &[Row], port: u16) -> Vec<String> {
    let mut faults = Vec::new();
    let mut barrier = Client::connect(port);
    let mut trials: Vec<Trial<'_>> =
        rows.iter().map(|row| Trial { row, cuts: row.cuts(), connection: None }).collect();
    for turn in 0.. {
        trials.retain(|trial| turn < trial.cuts.len());
        if trials.is_empty() {
            break;
        }
        let mut tell = |trial: &Trial<'_>, fault: &str| {
            let cuts = &trial.cuts[turn];
            let pieces = if cuts.len() == 1 { format!("cut at {}", cuts[0]) } else { "byte by byte".into() };
            faults.push(format!("{}\n{pieces}: {fault}", trial.row.title));
        };
        let pieces = trials.iter().map(|trial| trial.cuts[turn].len() + 1).max().unwrap_or(0);
        for piece in 0..pieces {
            if piece > 0 {
                // Whatever came before this request has been read when it is answered.
                assert_eq!(barrier.get("/health/live").0, 200);
            }
            trials.retain_mut(|trial| {
                if piece > trial.cuts[turn].len() {
                    return true;
                }
                let sent = trial.send(turn, piece, port);
                sent.inspect_err(|fault| tell(trial, fault)).is_ok()
            });
        }
        trials.retain_mut(|trial| trial.judge(turn).inspect_err(|fault| tell(trial, fault)).is_ok());
    }
    faults
}

#[test]
fn every_row_is_answered_as_the_rfcs_demand_however_it_is_cut() {
    let rows = rows();
    assert!(rows.len() > 500, "{}", rows.len());
    let scratch = Scratch::new();
    let server = Server::start(scratch.path(), &[]);
    let (issuer, stranger_scratch) =
        (KeyServer::new(key_set(&[&Key::new("k", "EdDSA").jwk("")])), Scratch::new());
    let options = ["--jwt-issuer-uri", &issuer.issuer(), "--jwt-audience", "kms"];
    let strangers_server = Server::start(stranger_scratch.path(), &options);
    strangers_server.wait_for_log("were fetched");
    let (strangers, others): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| row.of_strangers);
    let faults: Vec<String> = thread::scope(|scope| {
        let groups = others.chunks(ROWS_AT_ONCE).map(|group| (group, server.port));
        let groups: Vec<_> = groups
            .chain([(&strangers[..], strangers_server.port)])
            .map(|(group, port)| scope.spawn(move || try_rows(group, port)))
            .collect();
        groups.into_iter().flat_map(|group| group.join().unwrap()).collect()
    });
    assert!(faults.is_empty(), "{} rows do not hold:\n\n{}", faults.len(), faults.join("\n\n"));
    assert_eq!(server.terminate().code(), Some(0));
}
