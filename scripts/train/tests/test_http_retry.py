"""Retries, time-outs and stopping, against a real server process."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from http_post import HttpError, MalformedAnswer, RetryPolicy, parse_retry_after, require_http_url
from http_retry import Breaker, JsonEndpoint
from protocol_server import ServerProcess

Start = Callable[..., ServerProcess]


def parse(answer: object) -> str:
    if not isinstance(answer, dict) or not isinstance(answer.get("translatedText"), str):
        raise MalformedAnswer('a string "translatedText"', answer)
    return answer["translatedText"]


def translate_all(
    url: str, texts: Sequence[str], policy: RetryPolicy, **options: float
) -> tuple[dict[int, str], HttpError | None]:
    """What was done, and how it ended."""
    endpoint = JsonEndpoint(url + "/translate", policy=policy, **{"timeout_s": 10.0, **options})
    done: dict[int, str] = {}
    jobs = [
        lambda poster, t=text: poster.post({"q": t, "source": "en", "target": "es"}, parse, "a translation")
        for text in texts
    ]
    try:
        done.update(endpoint.run(jobs))
    except HttpError as error:
        return done, error
    return done, None


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize(
    "fault",
    ["status=500 times=2", "status=503 times=2", "close=yes times=2", "answer=json", "answer=html", "answer=missing",
     "answer=null", "status=429 times=2"],
)  # fmt: skip
def test_passing_faults_are_overcome(start_server: Start, quick: RetryPolicy, fault: str) -> None:
    server = start_server()
    done, error = translate_all(server.url, [f"[[id=a {fault}]]", "b"], quick)
    assert error is None
    assert done == {0: f"[[id=a {fault}]] (es)", 1: "b (es)"}
    assert server.count("a") == (3 if "times" in fault else 2)


def test_retry_after_is_waited_for(start_server: Start, quick: RetryPolicy) -> None:
    server = start_server()
    began = time.monotonic()
    done, error = translate_all(server.url, ["[[id=a status=429 retry_after=1]]"], quick)
    assert error is None and len(done) == 1
    assert time.monotonic() - began >= 1.0


def test_retry_after_beyond_all_patience_fails_at_once(start_server: Start, quick: RetryPolicy) -> None:
    server = start_server()
    done, error = translate_all(server.url, ["[[id=a status=429 retry_after=86400]]"], quick)
    assert not done and server.count("a") == 1
    assert "status 429" in str(error) and "Retry-After 86400 s, more than the 300 s" in str(error)


def test_time_out_is_retried(start_server: Start, quick: RetryPolicy) -> None:
    server = start_server()
    done, error = translate_all(server.url, ["[[id=a hang=3]]"], quick, timeout_s=0.5)
    assert error is None and len(done) == 1 and server.count("a") == 2


def test_time_out_for_good(start_server: Start, quick: RetryPolicy) -> None:
    server = start_server()
    policy = replace(quick, max_retries=1)
    done, error = translate_all(server.url, ["[[id=a hang=3 times=9]]", "b"], policy, timeout_s=0.3)
    assert done == {1: "b (es)"}
    assert "no answer within 0.3 s after 2 tries" in str(error) and error.is_outage


@pytest.mark.parametrize("part", ["head", "body"])
def test_server_that_drips_is_timed_out(quick: RetryPolicy, part: str) -> None:
    """Each read gets a byte long before its time-out."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            for _ in range(2):
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nX: " if part == "head" else b"HTTP/1.1 200 OK\r\n\r\n[")
                    while not stop.wait(0.05):
                        connection.sendall(b" ")

        server = threading.Thread(target=drip, daemon=True)
        server.start()
        began = time.monotonic()
        url, policy = f"http://127.0.0.1:{listener.getsockname()[1]}", replace(quick, max_retries=1)
        # Ends the drip where the client does not.
        threading.Timer(8.0, stop.set).start()
        done, error = translate_all(url, ["a"], policy, timeout_s=0.4)
        stop.set()
        server.join()
    assert not done and error.is_outage and "no answer within 0.4 s after 2 tries" in str(error)
    assert time.monotonic() - began < 4


@pytest.mark.parametrize("status", [400, 413, 422])
def test_refused_requests_are_left_out(
    start_server: Start, quick: RetryPolicy, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    server = start_server()
    done, error = translate_all(server.url, [f"[[id=a status={status} times=9]]", "b"], quick)
    assert done == {0: None, 1: "b (es)"} and error is None and server.count("a") == 1
    said = capsys.readouterr().err
    assert f"{server.url}/translate: expected a translation, found status {status}" in said
    assert "'as you wish' after 1 try (1 of 2 requests refused and left out)" in said


def test_a_refused_request_alone_is_left_out(start_server: Start, quick: RetryPolicy) -> None:
    server = start_server()
    assert translate_all(server.url, ["[[id=a status=400 times=9]]"], quick) == ({0: None}, None)


def test_a_server_that_refuses_everything_ends_the_run(start_server: Start, quick: RetryPolicy) -> None:
    server = start_server("--max-chars", "0")
    endpoint = JsonEndpoint(server.url + "/translate", policy=quick, concurrency=2)
    job = lambda poster: poster.post({"q": "text", "target": "es"}, parse, "a translation")  # noqa: E731
    assert sorted(endpoint.run([job] * 3)) == [(0, None), (1, None), (2, None)]
    with pytest.raises(HttpError, match="status 413"):  # the fourth
        list(endpoint.run([job] * 1000))
    with pytest.raises(HttpError, match="status 413"):
        list(endpoint.run([job] * 1000))


@pytest.mark.parametrize("status", [401, 404])
def test_wrong_keys_and_addresses_are_not_retried(start_server: Start, quick: RetryPolicy, status: int) -> None:
    server = start_server()
    done, error = translate_all(server.url, [f"[[id=a status={status} times=9]]", "b"], quick)
    assert done == {1: "b (es)"}
    assert error.status == status and server.count("a") == 1
    assert f"{server.url}/translate: expected a translation, found status {status}" in str(error)
    assert "'as you wish' after 1 try (1 of 2 requests failed, 1 done)" in str(error)


def test_a_failure_for_good_loses_no_other(start_server: Start, quick: RetryPolicy) -> None:
    server = start_server()
    texts = [f"text {i}" for i in range(40)]
    texts[3] = "[[id=a status=500 times=99]]"
    texts[20] = "[[id=b answer=html times=99]]"
    done, error = translate_all(server.url, texts, quick)
    assert sorted(done) == [i for i in range(40) if i not in (3, 20)]
    assert server.count("a") == server.count("b") == 4
    assert "after 4 tries (2 of 40 requests failed, 38 done)" in str(error)


def test_malformed_answers_are_quoted(start_server: Start, quick: RetryPolicy) -> None:
    server = start_server()
    _, error = translate_all(server.url, ["[[id=a answer=html times=99]]"], quick)
    assert "found status 200 with an answer that is not JSON: '<html><body>Sign in</body></html>'" in str(error)
    _, error = translate_all(server.url, ["[[id=b answer=missing times=99]]"], quick)
    assert 'expected a string "translatedText", found \'{"object": "nothing"}\'' in str(error)


def test_an_end_point_that_is_down_ends_the_run_early(quick: RetryPolicy) -> None:
    tries = []

    class Counting(RetryPolicy):
        def pause_s(self, failures: int, retry_after_s: float | None, rng: random.Random) -> float:
            tries.append(failures)
            return super().pause_s(failures, retry_after_s, rng)

    began = time.monotonic()
    policy = Counting(max_retries=3, base_s=0.01, max_s=0.05)
    done, error = translate_all(f"http://127.0.0.1:{unused_port()}", ["text"] * 10_000, policy)
    assert not done and time.monotonic() - began < 10
    assert "expected a translation, found no answer (" in str(error) and "not tried because of that" in str(error)
    assert len(tries) < 200


def test_a_wrong_key_ends_the_run_early(start_server: Start, quick: RetryPolicy) -> None:
    server = start_server("--api-key", "right")
    done, error = translate_all(server.url, ["text"] * 10_000, quick)
    assert not done and error.status == 401 and "not tried because of that" in str(error)


def test_a_server_that_comes_back_is_waited_for(start_server: Start) -> None:
    server = start_server()
    restarted = threading.Timer(1.0, server.start)
    endpoint = JsonEndpoint(
        server.url + "/translate", policy=RetryPolicy(max_retries=8, base_s=0.3, max_s=1.0), concurrency=4
    )
    done = {}
    jobs = [lambda poster, i=i: poster.post({"q": f"{i}", "target": "es"}, parse, "a translation") for i in range(60)]
    for index, text in endpoint.run(jobs):
        done[index] = text
        if len(done) == 10:
            server.kill()
            restarted.start()
    restarted.join()
    assert done == {i: f"{i} (es)" for i in range(60)}


def test_a_server_that_dies_for_good_keeps_what_was_done(start_server: Start, quick: RetryPolicy) -> None:
    server = start_server()
    texts = [*(f"{i}" for i in range(20)), "[[id=a die=yes]]", *(f"{i}" for i in range(21, 2000))]
    done, error = translate_all(server.url, texts, quick, concurrency=4)
    assert len(done) >= 15 and all(text == f"{i} (es)" for i, text in done.items())
    assert "not tried because of that" in str(error)


def test_abandoned_run_ends(start_server: Start, quick: RetryPolicy) -> None:
    server = start_server()
    endpoint = JsonEndpoint(server.url + "/translate", policy=quick)
    num_threads = threading.active_count()
    jobs = [lambda poster: poster.post({"q": "text", "target": "es"}, parse, "a translation")] * 500
    for _ in endpoint.run(jobs):
        break
    assert threading.active_count() == num_threads


def test_errors_of_the_job_itself_are_passed_on(start_server: Start, quick: RetryPolicy) -> None:
    server = start_server()

    def job(poster: object) -> str:
        raise KeyError("a fault of the program")

    with pytest.raises(KeyError, match="a fault of the program"):
        list(JsonEndpoint(server.url, policy=quick).run([job]))


def test_secrets_stay_out_of_messages(quick: RetryPolicy) -> None:
    _, error = translate_all(f"http://user:secret@127.0.0.1:{unused_port()}", ["text"], quick)
    assert "secret" not in str(error)


def test_lone_surrogates_can_be_sent(start_server: Start, quick: RetryPolicy) -> None:
    server = start_server()
    assert translate_all(server.url, ["a\ud800b"], quick)[0] == {0: "a\ud800b (es)"}


def test_pauses_grow_and_are_bounded() -> None:
    policy, rng = RetryPolicy(base_s=1.0, max_s=10.0), random.Random(1)
    for failures, ceiling in [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 10.0), (5000, 10.0)]:
        pauses = {policy.pause_s(failures, None, rng) for _ in range(50)}
        assert len(pauses) > 40 and ceiling / 2 <= min(pauses) and max(pauses) <= ceiling
    assert policy.pause_s(1, 20.0, rng) >= 20.0


def test_retry_after_formats() -> None:
    now = datetime(2024, 5, 1, 12, 0, 0, tzinfo=UTC)
    assert parse_retry_after("7", now) == 7.0
    assert parse_retry_after("Wed, 01 May 2024 12:00:30 GMT", now) == 30.0
    assert parse_retry_after("Wed, 01 May 2024 11:00:00 GMT", now) == 0.0
    assert parse_retry_after("soon", now) is None
    assert parse_retry_after(None, now) is None


def test_breaker() -> None:
    breaker = Breaker(3)
    for _ in range(2):
        breaker.failed(is_outage=False)
    assert not breaker.is_open
    breaker.failed(is_outage=True)
    assert breaker.is_open
    breaker = Breaker(3)
    breaker.succeeded()
    for _ in range(10):
        breaker.failed(is_outage=False)
    assert not breaker.is_open
    for _ in range(3):
        breaker.failed(is_outage=True)
    assert breaker.is_open


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://host/", "http://", "/path"])
def test_urls_that_are_none(url: str) -> None:
    with pytest.raises(ValueError, match="base_url: expected http://HOST"):
        require_http_url(url, "base_url")


def test_argument_errors() -> None:
    with pytest.raises(ValueError, match="concurrency: expected 1 or more, found 0"):
        JsonEndpoint("http://host", concurrency=0)
    with pytest.raises(ValueError, match="timeout_s: expected more than 0, found 0"):
        JsonEndpoint("http://host", timeout_s=0)
    with pytest.raises(ValueError, match="max_retries: expected 0 or more, found -1"):
        RetryPolicy(max_retries=-1)
