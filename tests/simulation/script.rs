//! A run's setup, which follows from its seed, and its script: what is done, and when.
use std::fmt;
use std::str::FromStr;

use crate::dialects::Words;
use crate::random::Random;

/// Time in ms until which the script does something.
pub const BUSY_MS: u64 = 600_000;
/// Time in ms by which everything must have arrived everywhere.
pub const QUIET_MS: u64 = 800_000;
/// Time in ms by which everything must be forgotten: ids that senders gave are kept for ten minutes.
pub const END_MS: u64 = 1_500_000;

/// Unchanging facts of a run.
#[derive(Debug, Clone)]
pub struct Setup {
    pub seed: u64,
    pub clients: Vec<ClientPlan>,
    pub users: usize,
    /// Members of each group, by number of the user.
    pub groups: Vec<Vec<usize>>,
    /// `DELIVERY=live`
    pub is_live: bool,
    pub outbox_packets: usize,
    pub catch_up_page_bytes: usize,
    pub replay_events: usize,
    pub workers: u16,
}

/// A device: its user, and its front end.
#[derive(Debug, Clone, Copy)]
pub struct ClientPlan {
    pub user: usize,
    pub words: Words,
    pub is_pinned: bool,
}

/// Place that a user writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The direct conversation with this user.
    Direct(usize),
    /// A group.
    Group(usize),
    /// The user's chat with the model.
    Model,
}

/// Way in which a connection ends that nobody wanted to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Both ends notice.
    Noticed,
    /// The client notices, and comes back before the server does.
    ByClient,
    /// The server notices; the client waits for a ping in vain.
    ByServer,
    /// Nobody notices: bytes vanish.
    Silent,
}

const CUTS: [(Cut, &str); 4] =
    [(Cut::Noticed, "noticed"), (Cut::ByClient, "by-client"), (Cut::ByServer, "by-server"), (Cut::Silent, "silent")];

/// Something that is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// The page of a client writes a message.
    Send(usize, Place),
    /// A page says that its user types.
    Type(usize, Place),
    /// A page edits one of its user's messages over HTTP.
    Edit(usize),
    /// A page deletes one of its user's messages over HTTP.
    Delete(usize),
    /// A client's connection is cut.
    Cut(usize, Cut),
    /// A page is killed, and loaded again after so many ms.
    Kill(usize, u64),
    /// A page disconnects on purpose, and connects again after so many ms.
    Leave(usize, u64),
    /// A client does not read for so many ms.
    Stall(usize, u64),
    /// The store is slow for so many ms.
    Slow(u64),
    /// The store is away for so many ms.
    Outage(u64),
    /// The store's next commit succeeds, and its report is lost.
    LoseReport,
    /// The server is killed, and starts again after so many ms; `true`: what waited was committed, and nobody heard of it.
    Crash(u64, bool),
}

/// An act and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub at_ms: u64,
    pub act: Act,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct(user) => write!(formatter, "user:{user}"),
            Self::Group(group) => write!(formatter, "group:{group}"),
            Self::Model => formatter.write_str("model"),
        }
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse().map_err(|_| format!("no number: {text}"));
        match text.split_once(':') {
            Some(("user", user)) => Ok(Self::Direct(number(user)?)),
            Some(("group", group)) => Ok(Self::Group(number(group)?)),
            None if text == "model" => Ok(Self::Model),
            _ => Err(format!("no place: {text}")),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ", self.at_ms)?;
        match self.act {
            Act::Send(client, place) => write!(formatter, "send {client} {place}"),
            Act::Type(client, place) => write!(formatter, "type {client} {place}"),
            Act::Edit(client) => write!(formatter, "edit {client}"),
            Act::Delete(client) => write!(formatter, "delete {client}"),
            Act::Cut(client, cut) => {
                let name = CUTS.iter().find(|(known, _)| *known == cut).map_or("", |(_, name)| name);
                write!(formatter, "cut {client} {name}")
            }
            Act::Kill(client, away) => write!(formatter, "kill {client} {away}"),
            Act::Leave(client, away) => write!(formatter, "leave {client} {away}"),
            Act::Stall(client, time) => write!(formatter, "stall {client} {time}"),
            Act::Slow(time) => write!(formatter, "slow {time}"),
            Act::Outage(time) => write!(formatter, "outage {time}"),
            Act::LoseReport => formatter.write_str("lose-report"),
            Act::Crash(time, commits) => write!(formatter, "crash {time} {commits}"),
        }
    }
}

impl FromStr for Step {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let word = |place: usize| words.get(place).copied().ok_or_else(|| format!("too short: {line}"));
        let number = |place: usize| word(place)?.parse::<u64>().map_err(|_| format!("no number in: {line}"));
        let client = |place: usize| number(place).map(|client| client as usize);
        let act = match word(1)? {
            "send" => Act::Send(client(2)?, word(3)?.parse()?),
            "type" => Act::Type(client(2)?, word(3)?.parse()?),
            "edit" => Act::Edit(client(2)?),
            "delete" => Act::Delete(client(2)?),
            "cut" => {
                let name = word(3)?;
                let cut = CUTS.iter().find(|(_, known)| *known == name).ok_or_else(|| format!("no cut: {name}"))?;
                Act::Cut(client(2)?, cut.0)
            }
            "kill" => Act::Kill(client(2)?, number(3)?),
            "leave" => Act::Leave(client(2)?, number(3)?),
            "stall" => Act::Stall(client(2)?, number(3)?),
            "slow" => Act::Slow(number(2)?),
            "outage" => Act::Outage(number(2)?),
            "lose-report" => Act::LoseReport,
            "crash" => Act::Crash(number(2)?, word(3)? == "true"),
            other => return Err(format!("no act: {other}")),
        };
        Ok(Self { at_ms: number(0)?, act })
    }
}

impl Setup {
    /// Returns the setup of a seed.
    pub fn of(seed: u64) -> Self {
        let mut random = Random::new(seed, 1);
        let users = random.between(4, 6) as usize;
        let count = random.between(8, 10) as usize;
        let clients = (0..count)
            .map(|number| {
                // Everybody has a device; the further ones are somebody's.
                let user = if number < users { number } else { random.below(users as u64) as usize };
                let words = match random.below(10) {
                    0..=3 => Words::Messenger,
                    4..=6 => Words::Conversation,
                    7 => Words::Listing,
                    8 => Words::Agent,
                    _ => Words::Assistant,
                };
                // The first three make sure that there are three front ends.
                let words = [Words::Messenger, Words::Conversation, Words::Agent].get(number).copied().unwrap_or(words);
                ClientPlan {
                    user,
                    words,
                    is_pinned: matches!(words, Words::Agent | Words::Assistant | Words::Listing) || !random.one_in(3),
                }
            })
            .collect();
        let groups = (0..2).map(|group| (0..users).filter(|user| (user + group) % users < 4).collect()).collect();
        Self {
            seed,
            clients,
            users,
            groups,
            is_live: !random.one_in(3),
            outbox_packets: *random.pick(&[16, 64, 1_024]),
            catch_up_page_bytes: *random.pick(&[2_000, 10_000, 256 * 1_024]),
            replay_events: *random.pick(&[8, 64, 1_024]),
            workers: random.between(1, 2) as u16,
        }
    }

    /// Returns what is done under its seed.
    pub fn script(&self) -> Vec<Step> {
        let mut random = Random::new(self.seed, 2);
        let mut steps = Vec::new();
        let clients = self.clients.len() as u64;
        let any_client = |random: &mut Random| random.below(clients) as usize;
        let time = |random: &mut Random| random.between(1_000, BUSY_MS);
        // Messages come in bursts, at which somebody is cut as often as not.
        for _ in 0..random.between(70, 90) {
            let at_ms = time(&mut random);
            let count = random.between(1, 9);
            let writers = [any_client(&mut random), any_client(&mut random), any_client(&mut random)];
            for _ in 0..count {
                let client = *random.pick(&writers);
                let place = self.place(client, &mut random);
                steps.push(Step { at_ms: at_ms + random.below(1_500), act: Act::Send(client, place) });
            }
            if random.one_in(3) {
                let client = any_client(&mut random);
                let cut = random.pick(&CUTS).0;
                steps.push(Step { at_ms: at_ms + random.below(1_500), act: Act::Cut(client, cut) });
            }
        }
        let mut add = |random: &mut Random, count: u64, act: &dyn Fn(&mut Random) -> Act| {
            for _ in 0..count {
                steps.push(Step { at_ms: time(random), act: act(random) });
            }
        };
        let away = |random: &mut Random| *random.pick(&[50, 500, 3_000, 20_000, 60_000, 150_000]);
        add(&mut random, 6, &|random| Act::Kill(any_client(random), away(random)));
        add(&mut random, 6, &|random| Act::Leave(any_client(random), away(random)));
        add(&mut random, 4, &|random| Act::Stall(any_client(random), *random.pick(&[500, 5_000, 40_000])));
        add(&mut random, 15, &|random| {
            let client = any_client(random);
            Act::Type(client, self.place(client, random))
        });
        add(&mut random, 10, &|random| Act::Edit(any_client(random)));
        add(&mut random, 6, &|random| Act::Delete(any_client(random)));
        add(&mut random, 2, &|random| Act::Slow(random.between(500, 8_000)));
        add(&mut random, 3, &|_| Act::LoseReport);
        let outages = random.between(1, 2);
        add(&mut random, outages, &|random| Act::Outage(*random.pick(&[300, 2_000, 8_000, 20_000])));
        let crashes = random.between(1, 3);
        add(&mut random, crashes, &|random| Act::Crash(*random.pick(&[100, 2_000, 10_000]), random.one_in(3)));
        steps.sort_by_key(|step| step.at_ms);
        steps
    }

    fn place(&self, client: usize, random: &mut Random) -> Place {
        let ClientPlan { user, words, .. } = self.clients[client];
        if words == Words::Assistant {
            return Place::Model;
        }
        let groups: Vec<usize> = (0..self.groups.len()).filter(|group| self.groups[*group].contains(&user)).collect();
        if words.has_groups() && !groups.is_empty() && random.one_in(2) {
            return Place::Group(*random.pick(&groups));
        }
        let other = random.below(self.users as u64 - 1) as usize;
        Place::Direct(if other >= user { other + 1 } else { other })
    }
}
