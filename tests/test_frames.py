import gc
import weakref

from timeback_async._frames import without_frames


class Secret:
    """Something in a frame."""


def raised(error: Exception, secret: Secret) -> Exception:
    try:
        _fail(LookupError("context"))
    except LookupError:
        try:
            _fail(OSError("cause"))
        except OSError as cause:
            error.__cause__ = cause
            try:
                _fail(error)
            except Exception as caught:
                return caught
    raise AssertionError


def _fail(error: Exception) -> None:
    raise error


def test_an_error_and_what_led_to_it_keep_no_frames() -> None:
    secret = Secret()
    alive = weakref.ref(secret)
    error = raised(ValueError("mine"), secret)
    del secret
    gc.collect()
    before = alive() is not None

    returned = without_frames(error)
    gc.collect()

    assert before
    assert returned is error
    assert alive() is None
    assert isinstance(error.__cause__, OSError)
    assert isinstance(error.__cause__.__context__, LookupError)


def test_errors_that_refer_to_each_other_end_the_search() -> None:
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__context__ = two, one

    assert without_frames(one) is one
