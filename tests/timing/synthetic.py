"""Speech of espeak-ng, which says itself where each word begins: any language, numbers and signs included.

Run as a program, it speaks: the library is under the GPL, and no process of ours loads it.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from stenoflow.tasks.engine.espeak import find_espeak
from stenoflow.tasks.transcript.text import split_words
from tests.instrument.tones import RATE, Samples

_SYNCHRONOUS, _PLAIN_UTF8, _WORD, _END_OF_LIST = 2, 1, 1, 0

TEXTS = {
    "de": """Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und
Gewissen begabt und sollen einander im Geist der Brüderlichkeit begegnen. Jeder hat das
Recht auf Leben, Freiheit und Sicherheit der Person. Niemand darf in Sklaverei oder
Leibeigenschaft gehalten werden. Jeder hat das Recht auf Bildung. Die Bildung ist
unentgeltlich, zum mindesten der Grundschulunterricht und die grundlegende Bildung.""",
    "es": """Todos los seres humanos nacen libres e iguales en dignidad y derechos y, dotados como están
de razón y conciencia, deben comportarse fraternalmente los unos con los otros. Todo
individuo tiene derecho a la vida, a la libertad y a la seguridad de su persona. Nadie
estará sometido a esclavitud ni a servidumbre. Toda persona tiene derecho a la educación. La
educación debe ser gratuita, al menos en lo concerniente a la instrucción elemental.""",
    "fr": """Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de
raison et de conscience et doivent agir les uns envers les autres dans un esprit de
fraternité. Tout individu a droit à la vie, à la liberté et à la sûreté de sa personne. Nul
ne sera tenu en esclavage ni en servitude. Toute personne a droit à l'éducation. L'éducation
doit être gratuite, au moins en ce qui concerne l'enseignement élémentaire.""",
    "ru": """Все люди рождаются свободными и равными в своём достоинстве и правах. Они наделены разумом и
совестью и должны поступать в отношении друг друга в духе братства. Каждый человек имеет право на жизнь,
на свободу и на личную неприкосновенность. Никто не должен содержаться в рабстве.""",
    "el": """Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα. Είναι
προικισμένοι με λογική και συνείδηση, και οφείλουν να συμπεριφέρονται μεταξύ τους με πνεύμα αδελφοσύνης.
Κάθε άτομο έχει δικαίωμα στη ζωή, την ελευθερία και την προσωπική του ασφάλεια.""",
    "sv": """Alla människor är födda fria och lika i värde och rättigheter. De har utrustats med förnuft och
samvete och bör handla gentemot varandra i en anda av gemenskap. Var och en har rätt till liv, frihet och
personlig säkerhet. Ingen får hållas i slaveri eller träldom.""",
    "hu": """Minden emberi lény szabadon születik és egyenlő méltósága és joga van. Az emberek, ésszel és
lelkiismerettel bírván, egymással szemben testvéri szellemben kell hogy viseltessenek. Minden személynek joga
van az élethez, a szabadsághoz és a személyi biztonsághoz.""",
    "cs": """Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv. Jsou nadáni rozumem a
svědomím a mají spolu jednat v duchu bratrství. Každý má právo na život, svobodu a osobní bezpečnost. Nikdo
nesmí být držen v otroctví nebo nevolnictví.""",
    "uk": """Всі люди народжуються вільними і рівними у своїй гідності та правах. Вони наділені розумом і
совістю і повинні діяти у відношенні один до одного в дусі братерства. Кожна людина має право на життя, на
свободу і на особисту недоторканність.""",
    "cmn": """人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心,并应以兄弟关系的精神相对待。
人人有权享有生命、自由和人身安全。任何人不得使为奴隶或奴役。""",
}
"""From the Universal Declaration of Human Rights; no rule was chosen on those from Greek to Ukrainian."""

needs_hama = pytest.mark.skipif(find_spec("hama") is None, reason="no hama: the extra `align`")
needs_espeak = pytest.mark.skipif(find_espeak() is None, reason="no espeak-ng: the extra `speech`")


@dataclass(frozen=True, slots=True)
class Synthetic:
    """Words as written, where in ms each begins, and the sound at 16 kHz."""

    words: tuple[str, ...]
    starts_ms: tuple[int, ...]
    sound: Samples


def speak(text: str, language: str) -> Synthetic:
    """Speak a text; words that are said in one with the word before begin with it."""
    package = find_espeak()
    assert package is not None
    program = [sys.executable, "-m", __name__, str(package), language]
    ended = subprocess.run(
        program, input=text.encode(), capture_output=True, check=True, cwd=Path(__file__).parents[2]
    )
    head, _, samples = ended.stdout.partition(b"\n")
    said = json.loads(head)
    slow = np.frombuffer(samples, np.int16)
    at = np.arange(0, slow.size, said["rate"] / RATE)
    sound = np.interp(at, np.arange(slow.size), slow).astype(np.int16)
    words, starts = [], []
    place = 0
    for word in split_words(text):
        place = text.index(word, place)
        begun = [ms for position, ms in said["words"] if position <= place + len(word)]
        own = [ms for position, ms in said["words"] if place < position <= place + len(word)]
        words.append(word)
        starts.append(own[0] if own else begun[-1])
        place += len(word)
    return Synthetic(tuple(words), tuple(starts), sound)


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    ]


def _main() -> None:
    package, language = Path(sys.argv[1]), sys.argv[2]
    library = ctypes.CDLL(str(next(package.glob("libespeak-ng.*"))))
    rate = library.espeak_Initialize(_SYNCHRONOUS, 200, str(package / "espeak-ng-data").encode(), 0)
    library.espeak_SetVoiceByName(language.encode())
    words: list[tuple[int, int]] = []
    samples: list[bytes] = []

    def take(wave: int | None, count: int, events: int) -> int:
        if wave and count:
            samples.append(ctypes.string_at(wave, 2 * count))
        step = ctypes.sizeof(_Event)
        while (event := _Event.from_address(events)).type != _END_OF_LIST:
            if event.type == _WORD:
                words.append((event.text_position, event.audio_position))
            events += step
        return 0

    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)(take)
    library.espeak_SetSynthCallback(callback)
    text = sys.stdin.buffer.read()
    library.espeak_Synth(text, len(text) + 1, 0, 0, 0, _PLAIN_UTF8, None, None)
    library.espeak_Synchronize()
    sys.stdout.buffer.write(json.dumps({"rate": rate, "words": words}).encode() + b"\n" + b"".join(samples))


if __name__ == "__main__":
    _main()
