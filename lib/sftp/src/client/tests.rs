//! The client against servers that do not keep to the protocol.

use tokio::sync::mpsc::UnboundedReceiver;

use super::*;
use crate::packet::{DATA_START, string};
use crate::queue::{Filler, Put};

const NAMES: u8 = 104;
const HANDLE: u8 = 102;
const DATA: u8 = 103;
const ATTRIBUTES: u8 = 105;

/// A server that a test plays: it answers each request by `answer`, until the client is gone.
fn play(
    answer: impl Fn(&Filler, u8, u32) -> bool + Send + 'static,
    patience: Duration,
) -> Attempt<Client> {
    let (link, requests, answers) = Link::played();
    std::thread::spawn(move || serve(requests, &answers, answer));
    Client::start(link, patience)
}

fn serve(
    mut requests: UnboundedReceiver<Vec<u8>>,
    answers: &Filler,
    answer: impl Fn(&Filler, u8, u32) -> bool,
) {
    while let Some(request) = requests.blocking_recv() {
        let number = u32::from_be_bytes(request[5..9].try_into().unwrap());
        let goes_on = match request[4] {
            packet::INIT => send(answers, packet::VERSION, 3, &[]),
            packet::OPENDIR | packet::OPEN => send(answers, HANDLE, number, &text(b"h")),
            kind => answer(answers, kind, number),
        };
        if !goes_on {
            return;
        }
    }
}

fn send(answers: &Filler, kind: u8, number: u32, body: &[u8]) -> bool {
    let mut packet = Vec::new();
    packet::request(&mut packet, kind, number, |out| out.extend_from_slice(body));
    answers.put(packet.into()) == Put::Waits
}

fn text(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    string(&mut out, bytes);
    out
}

/// A list of names of this length.
fn names(count: u32, bytes: usize) -> Vec<u8> {
    let name = [text(&vec![b'n'; bytes]), text(b""), vec![0; 4]].concat();
    [count.to_be_bytes().to_vec(), name.repeat(count as usize)].concat()
}

const PATIENCE: Duration = Duration::from_mins(1);

fn reason<T>(attempt: Attempt<T>) -> String {
    attempt.err().unwrap().into_error().to_string()
}

#[test]
fn answers_to_nothing_end_the_connection() {
    let answer = |answers: &Filler, _: u8, number: u32| {
        (1..1_000_000).all(|other| send(answers, ATTRIBUTES, number.wrapping_add(other), &[0; 4]))
    };
    let mut client = play(answer, PATIENCE).unwrap();
    let told = reason(client.stat("a"));
    assert!(told.contains("a request that was not sent"), "{told}");
    // Twice the same answer is one to nothing.
    let answer = |answers: &Filler, _: u8, number: u32| {
        (0..2).all(|_| send(answers, ATTRIBUTES, number, &[0; 4]))
    };
    let mut client = play(answer, PATIENCE).unwrap();
    client.stat("a").unwrap();
    assert!(reason(client.stat("a")).contains("a request that was not sent"));
}

#[test]
fn folders_without_an_end_are_given_up() {
    for (list, words) in [
        (names(0, 0), "without an end"),
        (names(1, 1), "this many files"),
        (names(1, 60_000), "this many files"),
        (names(1, 70_000), "a name of an impossible length"),
    ] {
        let answer =
            move |answers: &Filler, _: u8, number: u32| send(answers, NAMES, number, &list);
        let mut client = play(answer, PATIENCE).unwrap();
        let told = reason(client.list("a", 1000));
        assert!(told.contains(words), "{told}");
    }
}

#[test]
fn more_than_was_asked_for_is_not_kept() {
    // All answers come but the first one, each far longer than what was asked for.
    let long = text(&vec![7; 900_000]);
    let answer = move |answers: &Filler, kind: u8, number: u32| {
        kind != packet::READ || number == 1 || send(answers, DATA, number, &long)
    };
    let mut client = play(answer, PATIENCE).unwrap();
    let handle = client.open("a").unwrap();
    let asked: Vec<u32> = (0..25).map(|at| client.ask(&handle, at, 1).unwrap()).collect();
    assert_eq!(asked[0], 1);
    let told = reason(client.bytes(asked[0], "a"));
    assert!(told.contains("more data than was requested"), "{told}");
}

#[test]
fn an_answer_that_trickles_is_given_up() {
    let answer = |answers: &Filler, _: u8, _: u32| {
        answers.put(b"\0\x0f\0\0".as_slice().into()) == Put::Waits
            && (0..10_000).all(|_| {
                std::thread::sleep(Duration::from_millis(1));
                answers.put(b"x".as_slice().into()) == Put::Waits
            })
    };
    let mut client = play(answer, Duration::from_millis(50)).unwrap();
    assert!(reason(client.stat("a")).contains("in time"));
}

#[test]
fn answers_may_come_in_any_order_and_late() {
    let answer = |answers: &Filler, kind: u8, number: u32| {
        let body = text(&number.to_be_bytes());
        match (kind, number % 2) {
            (packet::READ, 1) => true,
            (packet::READ, _) => {
                let before = text(&(number - 1).to_be_bytes());
                send(answers, DATA, number, &body) && send(answers, DATA, number - 1, &before)
            }
            _ => send(answers, ATTRIBUTES, number, &[0; 4]),
        }
    };
    let mut client = play(answer, PATIENCE).unwrap();
    let handle = client.open("a").unwrap();
    let asked: Vec<u32> = (0..10).map(|at| client.ask(&handle, at, 4).unwrap()).collect();
    for number in &asked[..6] {
        let packet = client.bytes(*number, "a").unwrap().unwrap();
        assert_eq!(packet[DATA_START..], number.to_be_bytes());
    }
    for number in &asked[6..] {
        client.abandon(*number);
    }
    client.stat("a").unwrap();
    client.stat("a").unwrap();
}
