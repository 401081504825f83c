//! A client that sends raw bytes over HTTP/1.1, and messages as they stood on the wire.

use std::{
    io::{self, BufRead, BufReader, ErrorKind, Read, Write},
    net::TcpStream,
    ops::Deref,
};

use auth_o_tron_envoy::rejection::Code;

use super::TIMEOUT;

/// Header lines, in order, with lower-case names where they were read.
pub type Lines = Vec<(String, Vec<u8>)>;

/// An HTTP/1.1 message as it stood on the wire.
#[derive(Clone, Debug, Default)]
pub struct Message {
    pub start: String,
    pub headers: Lines,
    pub body: Vec<u8>,
    pub trailers: Lines,
}

impl Message {
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        self.headers.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_slice()).collect()
    }

    /// The value of a header that came exactly once.
    pub fn value(&self, name: &str) -> Option<String> {
        match self.values(name)[..] {
            [] => None,
            [value] => Some(String::from_utf8(value.to_vec()).unwrap()),
            _ => panic!("{name} came more than once: {self:?}"),
        }
    }

    /// Reads one message. `None` when the connection closes before it ends.
    pub fn read(stream: &mut impl BufRead) -> Option<Self> {
        let mut message = Self::read_head(stream)?;
        message.read_body(stream)?;
        Some(message)
    }

    fn read_head(stream: &mut impl BufRead) -> Option<Self> {
        let start = read_line(stream)?;
        Some(Self {
            start: String::from_utf8_lossy(&start).into_owned(),
            headers: read_lines(stream)?,
            ..Self::default()
        })
    }

    fn read_body(&mut self, stream: &mut impl BufRead) -> Option<()> {
        if self.values("transfer-encoding") == [b"chunked"] {
            loop {
                let size = String::from_utf8(read_line(stream)?).unwrap();
                let size = usize::from_str_radix(&size, 16).unwrap();
                if size == 0 {
                    break;
                }
                let mut chunk = vec![0; size];
                answered(stream.read_exact(&mut chunk))?;
                self.body.append(&mut chunk);
                read_line(stream)?;
            }
            self.trailers = read_lines(stream)?;
        } else if let Some(length) = self.value("content-length") {
            self.body = vec![0; length.parse().unwrap()];
            answered(stream.read_exact(&mut self.body))?;
        }
        Some(())
    }
}

/// A closed connection is an answer; silence is not.
pub fn answered<T>(read: io::Result<T>) -> Option<T> {
    if let Err(error) = &read {
        assert!(!matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "no answer in time");
    }
    read.ok()
}

fn read_line(stream: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    answered(stream.read_until(b'\n', &mut line)).filter(|&length| length > 0)?;
    Some(line.trim_ascii_end().to_vec())
}

fn read_lines(stream: &mut impl BufRead) -> Option<Lines> {
    let mut lines = Lines::new();
    loop {
        let line = read_line(stream)?;
        if line.is_empty() {
            return Some(lines);
        }
        let colon = line.iter().position(|&byte| byte == b':').unwrap();
        let name = String::from_utf8_lossy(&line[..colon]).to_lowercase();
        lines.push((name, line[colon + 1..].trim_ascii().to_vec()));
    }
}

/// A reply as the client saw it.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub message: Message,
}

impl Deref for Reply {
    type Target = Message;

    fn deref(&self) -> &Message {
        &self.message
    }
}

pub fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    // What is written in parts goes out in parts.
    stream.set_nodelay(true).unwrap();
    stream
}

/// Sends raw bytes on a new connection and reads one reply. `None` when there is none.
pub fn send(port: u16, request: &[u8]) -> Option<Reply> {
    exchange(connect(port), request)
}

pub fn exchange(mut stream: impl Read + Write, request: &[u8]) -> Option<Reply> {
    // What cannot be written is noticed when reading: the reply may be there already.
    let _ = stream.write_all(request);
    read_reply(&mut BufReader::new(stream), request.starts_with(b"HEAD "))
}

fn read_reply(stream: &mut impl BufRead, is_head: bool) -> Option<Reply> {
    let mut message = Message::read_head(stream)?;
    let status = message.start.split(' ').nth(1)?.parse().ok()?;
    if !is_head {
        message.read_body(stream)?;
    }
    Some(Reply { status, message })
}

/// A connection that is kept open for one request after the other.
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    pub fn open(port: u16) -> Self {
        Self(BufReader::new(connect(port)))
    }

    /// Sends raw bytes, of one request or of several.
    pub fn write(&mut self, requests: &[u8]) {
        self.0.get_mut().write_all(requests).unwrap();
    }

    /// Reads the next reply.
    pub fn read(&mut self) -> Reply {
        read_reply(&mut self.0, false).expect("a reply")
    }
}

/// A request that the upstream keeps as `case`, with these headers.
pub fn request(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut request = "GET / HTTP/1.1\r\nhost: test\r\nx-case: case\r\n".to_owned();
    for (name, value) in headers {
        request.extend([name, ": ", value, "\r\n"]);
    }
    request.push_str("\r\n");
    request.into_bytes()
}

pub fn get(port: u16, path: &str) -> Option<Reply> {
    send(port, format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n").as_bytes())
}

/// The client got the whole reply of this code.
pub fn check_denied(code: Code, reply: &Reply) {
    assert_eq!(reply.status, code.status(), "{reply:?}");
    assert_eq!(String::from_utf8_lossy(&reply.body), code.body());
    check_denied_head(code, reply);
}

/// As [`check_denied`], without the body.
pub fn check_denied_head(code: Code, reply: &Reply) {
    assert_eq!(reply.status, code.status(), "{reply:?}");
    assert_eq!(reply.value("content-type").unwrap(), "application/problem+json");
    assert_eq!(reply.value("cache-control").unwrap(), "no-store");
    assert_eq!(reply.value("www-authenticate").as_deref(), code.challenge());
}
