use super::*;
use crate::alert::testing::message;

fn email() -> Email {
    let config = model::Email {
        host: "127.0.0.1".to_owned(),
        port: 25,
        tls: MailTls::None,
        ca: None,
        from: "passerelle@acme.example".to_owned(),
        to: vec!["ops@acme.example".to_owned(), "crm@acme.example".to_owned()],
        to_owner: true,
        login: None,
    };
    Email::new(&config, Duration::from_secs(5)).unwrap()
}

fn check(message: &Message, expect: &str) {
    let letter = email().letter(message, "gate-1").unwrap();
    let text = String::from_utf8(letter.formatted()).unwrap().replace("\r\n", "\n");
    let (head, body) = text.split_once("\n\n").unwrap();
    assert_eq!(head, expect.trim());
    assert_eq!(body, form::letter(message, "gate-1"));
}

#[test]
fn a_letter_has_its_heads() {
    check(
        &message(Event::Began),
        "
From: passerelle@acme.example
Subject: [passerelle] warning: mapping contacts: the guard holds its
 deletions <now> & here
Date: Thu, 01 Jan 1970 00:17:40 +0000
Message-ID: <00000000000000aa-began.ops@gate-1>
Auto-Submitted: auto-generated
X-Passerelle-Alert-Id: 00000000000000aa-began
Content-Type: text/plain; charset=utf-8
To: ops@acme.example, crm@acme.example
Content-Transfer-Encoding: 7bit",
    );
}

#[test]
fn the_end_answers_the_beginning_and_a_copy_goes_to_the_owner_alone() {
    let copy = Message { copy_to: Some("ada@acme.example".to_owned()), ..message(Event::Ended) };
    check(
        &copy,
        "
From: passerelle@acme.example
Subject: [passerelle] ended: mapping contacts: the guard holds its deletions
 <now> & here
Date: Thu, 01 Jan 1970 00:17:40 +0000
Message-ID: <00000000000000aa-ended.ops.owner@gate-1>
Auto-Submitted: auto-generated
X-Passerelle-Alert-Id: 00000000000000aa-ended
Content-Type: text/plain; charset=utf-8
In-Reply-To: <00000000000000aa-began.ops.owner@gate-1>
References: <00000000000000aa-began.ops.owner@gate-1>
To: ada@acme.example
Content-Transfer-Encoding: 7bit",
    );
    let letter = email().letter(&copy, "gate-1").unwrap();
    let receivers: Vec<String> = letter.envelope().to().iter().map(ToString::to_string).collect();
    assert_eq!(receivers, ["ada@acme.example"]);
}

#[test]
fn a_login_that_is_refused_is_no_refusal_of_the_letter() {
    assert!(is_of_the_login(Some(535)) && is_of_the_login(Some(530)));
    assert!(!is_of_the_login(Some(550)) && !is_of_the_login(None));
}
