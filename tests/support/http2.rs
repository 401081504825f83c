//! HTTP/2 by hand: a library would not let the attacks out.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::TcpStream,
};

use super::http::{Lines, Message, Reply, answered, connect};

/// A connection of RFC 9113.
pub struct Http2 {
    stream: TcpStream,
    /// Frames that are not sent yet.
    frames: Vec<u8>,
}

impl Http2 {
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const RESET: u8 = 3;
    const SETTINGS: u8 = 4;
    const GO_AWAY: u8 = 7;
    const CONTINUATION: u8 = 9;
    const END_STREAM: u8 = 1;
    const END_HEADERS: u8 = 4;

    pub fn connect(port: u16) -> Self {
        let mut http2 = Self { stream: connect(port), frames: Vec::new() };
        http2.frames.extend(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        // No dynamic table, so that a status is an index or a literal.
        http2.frame(Self::SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 0]);
        http2
    }

    fn frame(&mut self, kind: u8, flags: u8, id: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        self.frames.extend([&length[1..], &[kind, flags], &id.to_be_bytes(), payload].concat());
    }

    /// What cannot be written is noticed when reading.
    fn flush(&mut self) {
        let _ = self.stream.write_all(&self.frames);
        self.frames.clear();
    }

    /// Literals that are never indexed and not compressed (RFC 7541, section 6.2.3), so that any byte can be sent.
    fn headers(&mut self, id: u32, fields: &Lines, end_stream: bool) {
        let mut block = Vec::new();
        for (name, value) in fields {
            block.push(0x10);
            for string in [name.as_bytes(), value] {
                let mut rest = string.len();
                if rest < 127 {
                    block.push(u8::try_from(rest).unwrap());
                } else {
                    block.push(127);
                    rest -= 127;
                    while rest >= 128 {
                        block.push(u8::try_from(rest % 128 + 128).unwrap());
                        rest /= 128;
                    }
                    block.push(u8::try_from(rest).unwrap());
                }
                block.extend(string);
            }
        }
        let chunks: Vec<_> = if block.is_empty() { vec![&block[..]] } else { block.chunks(16_384).collect() };
        for (index, chunk) in chunks.iter().enumerate() {
            let kind = if index == 0 { Self::HEADERS } else { Self::CONTINUATION };
            let end_stream = if index == 0 && end_stream { Self::END_STREAM } else { 0 };
            let end_headers = if index + 1 == chunks.len() { Self::END_HEADERS } else { 0 };
            self.frame(kind, end_stream | end_headers, id, chunk);
        }
    }

    /// Sends `headers` with the pseudo-headers first; `hi` and the trailers behind them, if there are any. All in one, so
    /// that Envoy does not answer to the beginning where the end is bad.
    pub fn send(&mut self, id: u32, headers: &Lines, trailers: &Lines) {
        let is_connect = headers.iter().any(|(name, value)| name.starts_with(':') && value == b"CONNECT");
        self.headers(id, headers, trailers.is_empty() && !is_connect);
        if !trailers.is_empty() {
            self.frame(Self::DATA, 0, id, b"hi");
            self.headers(id, trailers, true);
        }
        self.flush();
    }

    /// The replies to these streams: status and body, or `None` where it was closed. A CONNECT that succeeds has no end.
    pub fn replies(mut self, ids: &[u32]) -> BTreeMap<u32, Option<Reply>> {
        let mut open: BTreeMap<u32, Option<Reply>> = ids.iter().map(|id| (*id, None)).collect();
        let mut done = BTreeMap::new();
        while !open.is_empty() {
            let mut head = [0; 9];
            if answered(self.stream.read_exact(&mut head)).is_none() {
                break;
            }
            let [a, b, c, kind, flags, id @ ..] = head;
            let mut payload = vec![0; usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap()];
            if answered(self.stream.read_exact(&mut payload)).is_none() || kind == Self::GO_AWAY {
                break;
            }
            let id = u32::from_be_bytes(id);
            if kind == Self::SETTINGS && flags == 0 {
                self.frame(Self::SETTINGS, 1, 0, &[]);
                self.flush();
            }
            let Some(reply) = open.get_mut(&id) else { continue };
            let is_reset = kind == Self::RESET;
            match (kind, &mut *reply) {
                (Self::HEADERS, None) => {
                    *reply = Some(Reply { status: read_status(&payload), message: Message::default() });
                }
                (Self::DATA, Some(reply)) => reply.message.body.extend(payload),
                _ => {}
            }
            let is_ended = matches!(kind, Self::HEADERS | Self::DATA) && flags & Self::END_STREAM != 0;
            // Of a reply that goes on without end, the status is enough.
            let is_tunnel = reply.as_ref().is_some_and(|reply| reply.status == 200) && kind == Self::HEADERS;
            if is_reset || is_ended || is_tunnel {
                done.extend(open.remove_entry(&id));
            }
        }
        done.extend(open);
        done
    }
}

/// The `:status` at the beginning of a header block (RFC 7541, section 6 and appendices A and B).
fn read_status(block: &[u8]) -> u16 {
    let block = &block[block.iter().take_while(|&&byte| byte & 0xe0 == 0x20).count()..];
    match block[0] {
        index @ 0x88..=0x8e => [200, 204, 206, 304, 400, 404, 500][usize::from(index - 0x88)],
        0x48 | 0x08 | 0x18 => {
            let length = usize::from(block[1] & 0x7f);
            let value = &block[2..2 + length];
            if block[1] & 0x80 == 0 {
                return std::str::from_utf8(value).unwrap().parse().unwrap();
            }
            // Digits take 5 bits up to 2, and 6 bits from 3 on.
            let mut bits = value.iter().flat_map(|byte| (0..8).rev().map(move |bit| u16::from(byte >> bit & 1)));
            let mut digit = || {
                let five = (0..5).fold(0, |code, _| code << 1 | bits.next().unwrap());
                if five < 3 { five } else { (five << 1 | bits.next().unwrap()) - 0b01_1001 + 3 }
            };
            digit() * 100 + digit() * 10 + digit()
        }
        first => panic!("no status begins with {first:#x}"),
    }
}
