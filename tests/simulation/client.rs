//! A stock client with a front end on it: connects, comes back with its private id and offset, repeats what is not answered.
use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use crate::dialects::{Heard, To, read_ack};
use crate::history::{Page, Record, read_text, text_of};
use crate::random::Random;
use crate::script::{ClientPlan, Place};

/// Time in µs after which a page repeats a request.
const ANSWER_LIMIT: u64 = 4_000_000;
/// Pause in µs after a refusal that is not for ever.
const AGAIN: u64 = 200_000;
/// Time in µs without a ping after which the stock client gives its connection up.
const PING_LIMIT: u64 = 45_000_000;
/// Time in µs that a client waits for its admission.
const JOIN_LIMIT: u64 = 20_000_000;
/// Number of its latest messages from which a page picks one to edit or delete.
const CHANGEABLE: usize = 20;

/// Refusals after which the same request may succeed.
const TEMPORARY: [&str; 5] = ["NOT_STORED", "STORAGE_UNAVAILABLE", "RATE_LIMITED", "INTERNAL", "DRAINING"];

/// A message without an answer.
#[derive(Debug, Clone)]
struct Pending {
    name: String,
    place: Place,
    /// The id of the ack that is awaited.
    ack: Option<u64>,
    /// Time at which the answer is late, or the request may be repeated.
    due_at: u64,
}

/// A message of the page's user that may be changed.
#[derive(Debug, Clone)]
pub struct Own {
    pub name: String,
    pub id: String,
    pub version: u32,
}

/// Names by which the wire calls users and conversations.
#[derive(Debug)]
pub struct Names {
    pub users: Vec<String>,
    /// By the users' numbers, the smaller one first.
    pub directs: BTreeMap<(usize, usize), String>,
    pub groups: Vec<String>,
}

impl Names {
    /// Returns the conversation between two users.
    pub fn direct(&self, one: usize, other: usize) -> &str {
        &self.directs[&(one.min(other), one.max(other))]
    }
}

/// Surroundings of a client during one step.
pub struct Scene<'a> {
    pub now: u64,
    pub names: &'a Names,
    pub page: &'a mut Page,
    /// Bytes to the server.
    pub out: Vec<u8>,
    /// It closes its end of the wire.
    pub hangs_up: bool,
    /// It wants to read its histories.
    pub wants_load: bool,
}

impl Scene<'_> {
    fn note(&mut self, record: Record) {
        self.page.records.push((self.now, record));
    }
}

/// A client. It outlives its pages.
pub struct Client {
    pub plan: ClientPlan,
    pub wire: Option<usize>,
    /// Number of its page in the history.
    pub page: usize,
    pub dial_at: Option<u64>,
    pub is_dialing: bool,
    pub stalled_until: u64,
    /// Its page is not there until then.
    pub away_until: u64,
    /// What arrived while it did not read.
    pub unread: Vec<u8>,
    /// Time for which it is woken already.
    pub armed: Option<u64>,
    pub is_loaded: bool,
    pub own: Vec<Own>,
    inbox: Vec<u8>,
    is_in: bool,
    pid: Option<String>,
    offset: Option<String>,
    heard_at: u64,
    next_ack: u64,
    pending: Vec<Pending>,
    written: u32,
    back_off: u64,
    random: Random,
}

impl Client {
    pub fn new(plan: ClientPlan, page: usize, mut random: Random) -> Self {
        Self {
            plan,
            wire: None,
            page,
            dial_at: Some(random.below(2_000_000)),
            is_dialing: false,
            stalled_until: 0,
            away_until: 0,
            unread: Vec::new(),
            armed: None,
            is_loaded: false,
            own: Vec::new(),
            inbox: Vec::new(),
            is_in: false,
            pid: None,
            offset: None,
            heard_at: 0,
            next_ack: 0,
            pending: Vec::new(),
            written: 0,
            back_off: 50_000,
            random,
        }
    }

    /// Loads the page anew: all state of the stock client is gone; the front end sends most of what was not answered again.
    pub fn load_again(&mut self, page: usize, dial_at: u64) {
        self.drop_wire();
        (self.page, self.dial_at, self.pid, self.offset) = (page, Some(dial_at), None, None);
        (self.is_loaded, self.written, self.stalled_until, self.away_until) = (false, 0, 0, dial_at);
        self.own.clear();
        let random = &mut self.random;
        self.pending.retain_mut(|pending| {
            (pending.ack, pending.due_at) = (None, 0);
            !random.one_in(4)
        });
    }

    fn drop_wire(&mut self) {
        (self.wire, self.is_in, self.is_dialing) = (None, false, false);
        self.inbox.clear();
        self.unread.clear();
    }

    /// Returns the time of its next step.
    pub fn next_due(&self) -> Option<u64> {
        let silence = self.wire.map(|_| self.heard_at + if self.is_in { PING_LIMIT } else { JOIN_LIMIT });
        let pending = self.pending.iter().filter(|pending| pending.ack.is_some() || self.is_in).map(|pending| pending.due_at);
        let dial = self.dial_at.filter(|_| self.wire.is_none() && !self.is_dialing);
        pending.chain(silence).chain(dial).min()
    }

    /// A connection was made.
    pub fn on_open(&mut self, wire: usize, now: u64) {
        (self.wire, self.is_dialing, self.dial_at, self.heard_at) = (Some(wire), false, None, now);
    }

    /// Nobody listens.
    pub fn on_unreachable(&mut self, now: u64) {
        self.is_dialing = false;
        self.dial_soon(now);
    }

    fn dial_soon(&mut self, now: u64) {
        self.dial_at = Some(now + self.back_off / 2 + self.random.below(self.back_off));
        self.back_off = (self.back_off * 2).min(1_000_000);
    }

    /// Its connection has ended, or it ends it; it dials again at once, after `away` µs, or never.
    pub fn on_end(&mut self, scene: &mut Scene<'_>, away: Option<u64>) {
        if self.wire.is_none() {
            return;
        }
        if self.is_in {
            scene.note(Record::Disconnect);
        }
        self.drop_wire();
        for pending in &mut self.pending {
            if pending.ack.take().is_some() {
                pending.due_at = 0;
                scene.note(Record::Unknown { name: pending.name.clone() });
            }
        }
        match away {
            Some(0) => self.dial_soon(scene.now),
            Some(away) => self.dial_at = Some(scene.now + away),
            None => self.dial_at = None,
        }
    }

    /// Leaves on purpose: `socket.disconnect()`.
    pub fn leave(&mut self, scene: &mut Scene<'_>, away: Option<u64>) {
        if self.wire.is_none() {
            (self.dial_at, self.is_dialing) = (away.map(|away| scene.now + away), false);
            return;
        }
        if self.is_in {
            put_frame(&mut scene.out, 0x1, b"41");
        }
        put_frame(&mut scene.out, 0x8, b"");
        scene.hangs_up = true;
        self.on_end(scene, away);
    }

    /// Writes a message.
    pub fn write(&mut self, place: Place, scene: &mut Scene<'_>) {
        self.written += 1;
        let name = format!("{}.{}", scene.page.name, self.written);
        self.pending.push(Pending { name, place, ack: None, due_at: scene.now });
        self.send_due(scene);
    }

    pub fn type_in(&mut self, place: Place, scene: &mut Scene<'_>) {
        let conversation = match place {
            Place::Direct(other) => scene.names.direct(self.plan.user, other),
            Place::Group(group) => &scene.names.groups[group],
            Place::Model => return,
        };
        if let Some(arguments) = self.plan.words.typing(conversation).filter(|_| self.is_in) {
            put_frame(&mut scene.out, 0x1, format!("42{arguments}").as_bytes());
        }
    }

    /// Takes one of its messages to change it; nobody else changes it until it is given back.
    pub fn take_own(&mut self) -> Option<Own> {
        let count = self.own.len() as u64;
        (count > 0).then(|| self.own.swap_remove(self.random.below(count) as usize))
    }

    /// Does what is due.
    pub fn on_wake(&mut self, scene: &mut Scene<'_>) {
        let limit = if self.is_in { PING_LIMIT } else { JOIN_LIMIT };
        if self.wire.is_some() && scene.now >= self.heard_at + limit {
            scene.hangs_up = true;
            self.on_end(scene, Some(0));
        }
        for pending in &mut self.pending {
            if pending.ack.is_some() && scene.now >= pending.due_at {
                pending.ack = None;
                scene.note(Record::Unknown { name: pending.name.clone() });
            }
        }
        self.send_due(scene);
    }

    fn send_due(&mut self, scene: &mut Scene<'_>) {
        if !self.is_in {
            return;
        }
        for pending in &mut self.pending {
            if pending.ack.is_some() || scene.now < pending.due_at {
                continue;
            }
            let to = match pending.place {
                Place::Direct(other) => {
                    To::Direct { conversation: scene.names.direct(self.plan.user, other), other: &scene.names.users[other] }
                }
                Place::Group(group) => To::Group { conversation: &scene.names.groups[group] },
                Place::Model => To::Model,
            };
            let arguments = self.plan.words.send(&to, &pending.name, &text_of(&pending.name, 0));
            put_frame(&mut scene.out, 0x1, format!("42{}{arguments}", self.next_ack).as_bytes());
            pending.ack = Some(self.next_ack);
            pending.due_at = scene.now + ANSWER_LIMIT;
            self.next_ack += 1;
            scene.page.records.push((scene.now, Record::Send { name: pending.name.clone(), place: pending.place }));
        }
    }

    /// Takes bytes of the server.
    pub fn read(&mut self, bytes: &[u8], scene: &mut Scene<'_>) {
        self.inbox.extend_from_slice(bytes);
        let inbox = std::mem::take(&mut self.inbox);
        let mut rest: &[u8] = &inbox;
        while let Some((opcode, payload, after)) = split_frame(rest) {
            rest = after;
            match opcode {
                0x1 => self.on_packet(std::str::from_utf8(payload).expect("the server sends UTF-8"), scene),
                0x8 => {
                    scene.hangs_up = true;
                    return self.on_end(scene, Some(0));
                }
                _ => {}
            }
            if self.wire.is_none() {
                return;
            }
        }
        self.inbox = rest.to_vec();
    }

    fn on_packet(&mut self, packet: &str, scene: &mut Scene<'_>) {
        let (kind, rest) = packet.split_at(1);
        match kind {
            "0" => self.join(scene),
            "2" => {
                self.heard_at = scene.now;
                put_frame(&mut scene.out, 0x1, b"3");
            }
            "4" => self.on_message(rest, scene),
            _ => {}
        }
    }

    fn join(&mut self, scene: &mut Scene<'_>) {
        self.heard_at = scene.now;
        let mut auth = String::from("40{");
        if let Some(pid) = &self.pid {
            let _ = write!(auth, r#""pid":"{pid}","#);
            if let Some(offset) = &self.offset {
                let _ = write!(auth, r#""offset":"{offset}","#);
            }
        }
        let _ = write!(auth, r#""token":"{}""#, scene.names.users[self.plan.user]);
        if self.plan.is_pinned {
            let _ = write!(auth, r#","dialect":"{}""#, self.plan.words.name());
        }
        auth.push('}');
        put_frame(&mut scene.out, 0x1, auth.as_bytes());
    }

    fn on_message(&mut self, message: &str, scene: &mut Scene<'_>) {
        let (kind, rest) = message.split_at(1);
        match kind {
            "0" => {
                let answer: Value = serde_json::from_str(rest).expect("a CONNECT's answer is JSON");
                let pid = answer["pid"].as_str().map(str::to_owned);
                let recovered = pid.is_some() && pid == self.pid;
                (self.is_in, self.pid, self.heard_at, self.back_off) = (true, pid, scene.now, 50_000);
                scene.note(Record::Connect { recovered });
                scene.wants_load = !self.is_loaded;
                self.send_due(scene);
            }
            "1" | "4" => {
                let code = serde_json::from_str::<Value>(rest).map(|refusal| refusal["data"]["code"].to_string());
                scene.note(Record::TurnedAway { code: code.unwrap_or_else(|_| "io server disconnect".to_owned()) });
                scene.hangs_up = true;
                // A stock client would not come back; the page does, so that the run goes on.
                self.on_end(scene, Some(1_000_000));
            }
            "2" => {
                let arguments: Value = serde_json::from_str(rest).expect("an event is JSON");
                self.on_event(&arguments, scene);
            }
            "3" => {
                let start = rest.find('[').expect("an ack has arguments");
                let ack: u64 = rest[..start].parse().expect("an ack has its id");
                let arguments: Value = serde_json::from_str(&rest[start..]).expect("an ack is JSON");
                self.on_ack(ack, &arguments[0], scene);
            }
            _ => {}
        }
    }

    fn on_event(&mut self, arguments: &Value, scene: &mut Scene<'_>) {
        let (Some(event), payload) = (arguments[0].as_str(), &arguments[1]) else { return };
        let last = arguments.as_array().and_then(|all| all.last()).and_then(Value::as_str);
        if let Some(offset) = last.filter(|_| self.pid.is_some()) {
            self.offset = Some(offset.to_owned());
        }
        match self.plan.words.hear(event, payload) {
            Heard::Message { id, conversation, sender, text } => {
                let (name, version) = read_text(text);
                let receipt = (sender != scene.names.users[self.plan.user]).then(|| self.plan.words.receipt(id)).flatten();
                scene.note(Record::Got {
                    id: id.to_owned(),
                    conversation: conversation.map(str::to_owned),
                    name: name.to_owned(),
                    version,
                    sender: sender.to_owned(),
                });
                if let Some(receipt) = receipt.filter(|_| self.random.one_in(6)) {
                    put_frame(&mut scene.out, 0x1, format!("42{receipt}").as_bytes());
                }
            }
            Heard::Edited { id, text } => scene.note(Record::ToldEdit { id: id.to_owned(), version: read_text(text).1 }),
            Heard::Deleted { id } => scene.note(Record::ToldDeletion { id: id.to_owned() }),
            Heard::Delivered { id, user } => scene.note(Record::Delivered { id: id.to_owned(), user: user.to_owned() }),
            Heard::Refused { .. } | Heard::Other => {}
        }
    }

    fn on_ack(&mut self, ack: u64, answer: &Value, scene: &mut Scene<'_>) {
        // A late one: the page has repeated the request meanwhile.
        let Some(place) = self.pending.iter().position(|pending| pending.ack == Some(ack)) else { return };
        match read_ack(answer) {
            Ok(id) => {
                let Pending { name, .. } = self.pending.remove(place);
                if let Some(id) = id {
                    self.give_back(Own { name: name.clone(), id: id.to_owned(), version: 0 });
                }
                scene.note(Record::Ack { name, id: id.map(str::to_owned) });
            }
            Err(code) => {
                scene.note(Record::Refused { name: self.pending[place].name.clone(), code: code.to_owned() });
                let is_repeated = TEMPORARY.contains(&code) && !self.random.one_in(4);
                if is_repeated {
                    let pending = &mut self.pending[place];
                    (pending.ack, pending.due_at) = (None, scene.now + AGAIN);
                } else {
                    self.pending.remove(place);
                }
            }
        }
    }

    /// Notes a message that may be changed.
    pub fn give_back(&mut self, own: Own) {
        if self.own.len() >= CHANGEABLE {
            self.own.remove(0);
        }
        self.own.push(own);
    }
}

/// Appends a client's frame. Its mask is all zeros: that is allowed, and leaves the bytes readable.
fn put_frame(out: &mut Vec<u8>, opcode: u8, data: &[u8]) {
    out.push(0x80 | opcode);
    match data.len() {
        short @ 0..126 => out.push(0x80 | short as u8),
        medium => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(medium as u16).to_be_bytes());
        }
    }
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(data);
}

/// Takes a server's frame from the front, if it is whole: its opcode, its payload, and what follows.
fn split_frame(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    let (length, head) = match second & 0x7F {
        126 => (usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
        127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize, 10),
        length => (usize::from(length), 2),
    };
    let payload = bytes.get(head..head + length)?;
    Some((first & 0x0F, payload, &bytes[head + length..]))
}
