"""What office staff read: messages in their language, from gettext catalogues kept as text (`locale/<language>.po`)."""

from __future__ import annotations

import gettext
from functools import cache
from io import BytesIO
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from hub.api.errors import HubError

HERE = Path(__file__).parent


class Refusal(HubError):
    """Something from outside cannot be taken. `message` is a catalogue entry: what is wrong, why, and what to do now.

    `values` fill its `{names}`. `str()` gives the English text, `say()` the office's.
    """

    def __init__(self, message: str, **values: object) -> None:
        super().__init__(message.format(**values))
        self.message = message
        self.values = values

    def say(self, catalogue: Catalogue) -> str:
        return catalogue(self.message, **self.values)


class Catalogue:
    """Translates a message and fills in its `{names}`; a message without a translation stays English."""

    def __init__(self, translations: gettext.NullTranslations) -> None:
        self._translations = translations

    def __call__(self, message: str, /, **values: object) -> str:
        return self._translations.gettext(message).format(**values)


@cache
def catalogue(language: str, folder: Path = HERE) -> Catalogue:
    """The catalogue `folder/locale/<language>.po`; without that file, English."""
    path = folder / "locale" / f"{language}.po"
    if not path.is_file():
        return Catalogue(gettext.NullTranslations())
    compiled = BytesIO()
    with path.open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return Catalogue(gettext.GNUTranslations(compiled))
