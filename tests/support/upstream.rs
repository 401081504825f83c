//! The service behind the gateways.

use std::{
    collections::BTreeMap,
    io::{BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use super::http::Message;

/// A service that records what reaches it, by the request's `x-case` header.
pub struct Upstream {
    pub port: u16,
    seen: Arc<Mutex<BTreeMap<String, Message>>>,
}

impl Upstream {
    /// Listens until the test process ends.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(BTreeMap::new()));
        let recorder = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let recorder = Arc::clone(&recorder);
                thread::spawn(move || serve(stream, &recorder));
            }
        });
        Self { port, seen }
    }

    /// What arrived of a case. It is taken out, so that a case can be sent again.
    pub fn take(&self, case: &str) -> Option<Message> {
        self.seen.lock().unwrap().remove(case)
    }

    /// All that arrived and was not taken yet, by case.
    pub fn take_all(&self) -> BTreeMap<String, Message> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

fn serve(stream: TcpStream, seen: &Mutex<BTreeMap<String, Message>>) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    while let Some(request) = Message::read(&mut reader) {
        let reply: &[u8] = if request.start.starts_with("CONNECT") {
            b"HTTP/1.1 200 OK\r\n\r\n"
        } else if request.value("upgrade").is_some() {
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
        } else {
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
        };
        seen.lock().unwrap().insert(request.value("x-case").unwrap_or_default(), request);
        if writer.write_all(reply).is_err() {
            break;
        }
    }
}
