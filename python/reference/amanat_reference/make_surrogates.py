# SPDX-License-Identifier: MIT OR Apache-2.0
"""Writes the vectors of chapters 8 to 10. Names, numbers and keys are invented."""
from __future__ import annotations

from typing import Callable, Dict, List, Optional, Sequence, Tuple, Union

from . import bech32m, envelope, hpke, identifier, index, keys, normal, receipt, surrogates, tokens
from .ff1 import Ff1
from .keyring import encode as encode_json
from .make_vectors import REGISTRY, TABLE, Files, Line, flip, put, stream
from .surrogates import form_of
from .tokens import Audience, Token
from .value import BOOLEAN, BYTES, CBOR, DATE, INTEGER, NULL, TEXT, Value
from .vector import Vector
from .wire import b64, pae, unb64

CNIC, OTHER_CNIC = "0000012345678", "0000087654321"
AADHAAR = "9999" + "0000123" + str(identifier.CHECKS["verhoeff"]("99990000123"))
PASSPORT = "ZZ0000123"
AUDIENCE = Audience("tax-office", "matching")
CUSTOM = "custom/v1:por-card:[A-Z]{2}[0-9]{9} none"
NOW = 1_795_000_000


def text(item: str) -> Value:
    """A value of type text."""
    return Value(TEXT, item.encode("utf-8"))


def typed(item: Value) -> str:
    """`TYPE HEX`."""
    return ("%02x %s" % (item.type, item.data.hex())).strip()


def slug(name: str) -> str:
    """A form's or identifier's name in a file name."""
    return name.replace("/v1", "").replace("-", "_").replace("/", "_")


# -- chapter 8.2 --------------------------------------------------------------

Row = Tuple[str, str, str, Sequence[str], Sequence[str]]
# Name, what it is about, a text, texts of the same form, texts of another form.
URDU: Sequence[Row] = (
    ("yeh", "Arabic yeh, alef maksura and yeh with hamza are Farsi yeh",
     "\u0641\u06cc\u0636\u06cc", ["\u0641\u064a\u0636\u0649", "\u0641\u0649\u0636\u064a", "\u0641\u0626\u0636\u06cc",
                            "\u0641\u06cc\u0654\u0636\u06cc"], ["\u0641\u06cc\u0636\u06d2"]),
    ("kaf", "Arabic kaf is keheh, the swash kaf of Sindhi is not",
     "\u06a9\u0627\u0645", ["\u0643\u0627\u0645"], ["\u06aa\u0627\u0645", "\u06af\u0627\u0645"]),
    ("heh", "heh, ae and heh with yeh above are heh goal, do-chashmi heh is not",
     "\u0645\u06c1\u06a9", ["\u0645\u0647\u06a9", "\u0645\u06d5\u06a9", "\u0645\u06c0\u06a9", "\u0645\u06c2\u06a9"],
     ["\u0645\u06be\u06a9", "\u0645\u06c3\u06a9"]),
    ("teh_marbuta", "teh marbuta is teh marbuta goal, and neither heh nor teh",
     "\u062d\u06cc\u0627\u06c3", ["\u062d\u064a\u0627\u0629"], ["\u062d\u06cc\u0627\u06c1", "\u062d\u06cc\u0627\u062a"]),
    ("alef", "alef with hamza and alef wasla are alef, alef with madda is not",
     "\u0627\u062d\u0645\u0631", ["\u0623\u062d\u0645\u0631", "\u0625\u062d\u0645\u0631", "\u0671\u062d\u0645\u0631"],
     ["\u0622\u062d\u0645\u0631", "\u062d\u0645\u0631"]),
    ("madda", "alef and a combining madda are alef with madda, with marks between them too",
     "\u0622\u0645\u0646", ["\u0627\u0653\u0645\u0646", "\u0627\u064e\u0653\u0645\u0646", "\u0622\u0653\u0645\u0646"],
     ["\u0627\u0645\u0646"]),
    ("madda_elsewhere", "a combining madda on another letter is left out",
     "\u0645\u0646\u06cc\u0631", ["\u0645\u0653\u0646\u06cc\u0631", "\u0653\u0645\u0646\u06cc\u0631"], []),
    ("waw_hamza", "waw with hamza is waw", "\u0646\u0648\u0631", ["\u0646\u0624\u0631", "\u0646\u0648\u0654\u0631"],
     ["\u0646\u0631"]),
    ("yeh_barree", "yeh barree with hamza is yeh barree, and not yeh",
     "\u0631\u0627\u0626\u06d2", ["\u0631\u0627\u06cc\u06d3"], ["\u0631\u0627\u0626\u06cc"]),
    ("hamza", "hamza alone stays", "\u0628\u06c1\u0627\u0621", ["\u0628\u0647\u0627\u0621"], ["\u0628\u06c1\u0627"]),
    ("noon_ghunna", "noon and noon ghunna are two letters", "\u062c\u06c1\u0627\u06ba", ["\u062c\u0647\u0627\u06ba"],
     ["\u062c\u06c1\u0627\u0646"]),
    ("marks", "vowel marks, shadda, superscript alef and tatweel are left out",
     "\u0645\u062d\u0628\u062a", ["\u0645\u064f\u062d\u064e\u0628\u0651\u064e\u062a", "\u0645\u0640\u062d\u0640\u0640\u0628\u062a",
                            "\u0645\u062d\u0670\u0628\u062a", "\u0645\u062d\u0628\u062a\u0615"], []),
    ("invisible", "joiners, directional marks and soft hyphens are left out",
     "\u06af\u0644 \u0628\u062f\u0646", ["\u06af\u0644\u200c \u200f\u0628\u062f\u0646\u200e", "\ufeff\u06af\u0644\u00ad \u2067\u0628\u062f\u0646\u2069",
                                "\u06af\u200d\u0644 \u061c\u0628\u062f\u0646"], ["\u06af\u0644\u0628\u062f\u0646"]),
    ("spaces", "every space is one space, none at the ends",
     "\u06af\u0644 \u0628\u062f\u0646", [" \u06af\u0644\u00a0\u0628\u062f\u0646\t", "\u06af\u0644\u3000\u2003 \u0628\u062f\u0646\r\n",
                                "\u2028\u06af\u0644\u202f\u0628\u062f\u0646"], ["\u06af\u0644\u0628\u062f\u0646"]),
    ("punctuation", "dashes, full stops and commas are a space",
     "\u06af\u0644 \u0628\u062f\u0646", ["\u06af\u0644-\u0628\u062f\u0646", "\u06af\u0644\u06d4\u0628\u062f\u0646", "\u06af\u0644\u060c\u0628\u062f\u0646",
                                "\u06af\u0644.\u0628\u062f\u0646", "\u06af\u0644\u2013\u0628\u062f\u0646,"], ["\u06af\u0644\u0628\u062f\u0646"]),
    ("apostrophes", "apostrophes are left out, ain and hamza are not",
     "\u0633\u0639\u062f", ["\u0633'\u0639\u062f", "\u0633\u2019\u0639\u062f", "\u0633`\u0639\u00b4\u062f\u02bc"], ["\u0633\u062f"]),
    ("digits", "three sets of digits, and full-width ones",
     "\u0628\u0644\u0627\u06a9 12", ["\u0628\u0644\u0627\u06a9 \u06f1\u06f2", "\u0628\u0644\u0627\u06a9 \u0661\u0662", "\u0628\u0644\u0627\u06a9 \uff11\uff12"],
     ["\u0628\u0644\u0627\u06a9 21"]),
    ("presentation_forms", "presentation forms are their letters",
     "\u0644\u0627\u0644\u06c1", ["\ufefb\u0644\u06c1", "\ufedf\ufe8e\ufedf\ufba6", "\ufee0\ufe8e\ufedf\ufee9"], ["\ufedf\ufe8e\ufedf\ufbaa"]),
    ("ligature_phrase", "a ligature of a whole phrase", "\ufdfa",
     ["\u0635\u0644\u0649 \u0627\u0644\u0644\u0647 \u0639\u0644\u064a\u0647 \u0648\u0633\u0644\u0645"], []),
    ("number_sign", "a sign that encloses digits stays", "\u0600\u06f1", [], ["\u06f1"]),
    ("other_languages", "letters of Sindhi, Pashto, Kurdish and Uyghur stay themselves",
     "\u067b\u0696\u06ce\u06d0", [], ["\u0628\u0631\u06cc\u06cc"]),
    ("latin", "Latin letters are folded as in latin-name/v1", "gulbadan",
     ["Gulbadan", "GULBAD\u0100N", "Gul\u200cbada\u0301n", "\uff27ulbadan"], ["gul badan"]),
)
LATIN: Sequence[Row] = (
    ("case", "capitals are small letters", "anna maria", ["ANNA MARIA", "Anna  Maria "], ["annamaria"]),
    ("accents", "letters with marks are base letters, composed or not",
     "zoe jurgensen", ["Zo\u00eb J\u00fcrgensen", "Zoe\u0308 Ju\u0308rgensen", "ZO\u00cb J\u00dcRGENSEN"],
     ["zoee juergensen"]),
    ("letters", "letters that are two, and letters of their own",
     "strasse aeoe oldj th", ["stra\u00dfe \u00e6\u0153 \u00f8l\u0111j \u00fe",
                              "STRA\u1e9eE \u00c6\u0152 \u00d8L\u00d0J \u00de"],
     ["strase aeoe oldj th"]),
    ("turkish", "dotless and dotted i are i", "iirmak", ["I\u0131rmak", "\u0130irmak"], ["rmak"]),
    ("apostrophes", "apostrophes are left out", "oneil", ["O'Neil", "O\u2019Neil", "o\u02bbneil"], ["o neil"]),
    ("punctuation", "dashes, commas and full stops are a space", "anna maria",
     ["Anna-Maria", "Anna\u2010Maria", "Anna, Maria", "Anna.Maria."], ["annamaria"]),
    ("filler", "the filler of machine-readable zones is a space", "eriksson anna maria",
     ["ERIKSSON<<ANNA<MARIA<<<<", "ERIKSSON\uff1c\uff1cANNA MARIA"], ["erikssonannamaria"]),
    ("ligatures", "ligatures and full-width letters", "fiffi k",
     ["\ufb01\ufb03 \u212a", "\uff26\uff49ffi k"], ["fifi k"]),
    ("arabic_stays", "Arabic letters and their marks stay", "\u0643\u064e\u0631\u064a\u0645", [],
     ["\u06a9\u0631\u06cc\u0645", "\u0643\u0631\u064a\u0645"]),
    ("other_scripts", "other scripts stay, without their combining marks",
     "\u0410\u043d\u043d\u0430", ["\u0410\u0301\u043d\u043d\u0430"], ["\u0430\u043d\u043d\u0430"]),
)
DIGITS: Sequence[Row] = (
    ("sets", "three sets of digits", "0012345", ["\u06f0\u06f0\u06f1\u06f2\u06f3\u06f4\u06f5",
                                            "\u0660\u0660\u0661\u0662\u0663\u0664\u0665"], ["12345"]),
    ("separators", "spaces, dashes and invisible characters are left out", "123456",
     ["12-34-56", "\u200e12\u00a034\u060656".replace("\u0606", "\u2212"), " 1 2 3\t4\u06d45\u20136 "],
     ["123457"]),
)
DATES: Sequence[Row] = (
    ("text", "a date in text, with other digits and dashes", "1957-04-03",
     ["\u06f1\u06f9\u06f5\u06f7-\u06f0\u06f4-\u06f0\u06f3", " \u200e1957\u20110\u200b4\u221203\n", "1957\u06d404\u06d403"],
     ["1957-03-04", "1957-04-00"]),
    ("text_year_only", "a date of which only the year is known", "1957-00-00", [], ["1957-01-01"]),
    ("text_leap_day", "a leap day", "2000-02-29", [], []),
)
PHONES: Sequence[Row] = (
    ("pakistani_mobile", "the ways in which a Pakistani mobile number is written", "+923000000000",
     ["0300 0000000", "0300-0000000", "3000000000", "923000000000", "00923000000000",
      "+92 (0) 300 0000000", "+9203000000000", "0092 (0)300 0000000", "\uff0b92-300-0000000",
      "\u06f0\u06f3\u06f0\u06f0-\u06f0\u06f0\u06f0\u06f0\u06f0\u06f0\u06f0", "(0300) 000 00 00"],
     ["+923000000001"]),
    ("pakistani_landline", "a Pakistani landline", "+92510000000",
     ["051 0000000", "+92 (0)51 0000000", "+92-051-0000000"], ["+925100000000"]),
    ("other_country", "another country's number", "+442000000000",
     ["0044 2000000000", "+44 (0)20 0000 0000", "0044 (0) 20.0000.0000"], ["+4402000000000"]),
    ("zero_kept", "a zero in brackets that is part of a longer group stays", "+390600000000",
     ["+39 (06) 00000000", "0039 06 00000000"], ["+39600000000"]),
    ("shortest", "seven digits, the fewest", "+2900000", [], []),
    ("longest", "fifteen digits, the most", "+490000000000000"[:16], [], []),
)
REFUSED_TEXTS: Sequence[Tuple[str, str, str, str]] = (
    ("digits/v1", "letter", "a letter among the digits", "12a4"),
    ("digits/v1", "full_width", "full-width digits", "\uff11\uff12"),
    ("digits/v1", "full_stop", "a full stop", "1.2"),
    ("date/v1", "day_first", "the day stands first", "03-04-1957"),
    ("date/v1", "slashes", "slashes", "1957/04/03"),
    ("date/v1", "two_digit_year", "a year of two digits", "57-04-03"),
    ("date/v1", "one_digit_month", "a month of one digit", "1957-4-03"),
    ("date/v1", "five_digit_year", "a year of five digits", "01957-04-03"),
    ("date/v1", "space_inside", "a space inside", "1957- 04-03"),
    ("date/v1", "year_0", "the year 0", "0000-01-01"),
    ("date/v1", "30_february", "30 February", "2000-02-30"),
    ("date/v1", "day_without_month", "a day without a month", "1957-00-03"),
    ("date/v1", "empty", "no date at all", ""),
    ("e164/v1", "too_short", "six digits", "+290000"),
    ("e164/v1", "too_long", "sixteen digits", "+4900000000000000"),
    ("e164/v1", "local", "a number without area", "1234567"),
    ("e164/v1", "letter", "a letter", "0300-000OOOO"),
    ("e164/v1", "plus_inside", "a plus behind a digit", "0+923000000000"),
    ("e164/v1", "two_pluses", "two pluses", "++923000000000"),
    ("e164/v1", "country_0", "a country that begins with 0", "+0300000000"),
    ("e164/v1", "pakistani_mobile_short", "a Pakistani mobile number of nine digits", "+92300000000"),
    ("e164/v1", "pakistani_two_zeros", "two zeros behind 92", "+92003000000000"),
    ("e164/v1", "international_prefix_twice", "a plus and two zeros", "+00923000000000"),
    ("e164/v1", "19_digits", "nineteen digits", "+" + "1" * 19),
    ("e164/v1", "empty", "nothing but signs", "+ () -"),
)
REFUSED_VALUES: Sequence[Tuple[str, str, str, str, Value]] = (
    ("digits/v1", "empty", "schema", "only separators", text(" - ")),
    ("digits/v1", "integer", "schema", "an integer", Value(INTEGER, bytes(7) + b"\x07")),
    ("digits/v1", "too_long", "limit", "1,025 digits", text("1" * 1025)),
    ("urdu-name/v1", "empty", "schema", "only marks and spaces", text(" \u064e\u200c ")),
    ("urdu-name/v1", "bytes", "schema", "bytes", Value(BYTES, b"abc")),
    ("urdu-name/v1", "too_long", "limit", "1,026 bytes of letters", text("\u06a9" * 513)),
    ("urdu-name/v1", "long_result", "limit", "a text of 96 bytes whose normal form has 1,055",
     text("\ufdfa" * 32)),
    ("latin-name/v1", "empty", "schema", "an empty text", text("")),
    ("latin-name/v1", "null", "schema", "null", Value(NULL, b"")),
    ("date/v1", "integer", "schema", "an integer", Value(INTEGER, bytes(6) + b"\x07\xa5")),
    ("date/v1", "null", "schema", "null", Value(NULL, b"")),
    ("exact/v1", "null", "schema", "null", Value(NULL, b"")),
    ("exact/v1", "too_long", "limit", "a result of 1,025 bytes", Value(BYTES, bytes(1024))),
    ("e164/v1", "integer", "schema", "an integer", Value(INTEGER, bytes(3) + b"\x01" * 5)),
    ("cnic/v1", "null", "schema", "null", Value(NULL, b"")),
    ("cnic/v1", "integer", "schema", "an integer", Value(INTEGER, bytes(7) + b"\x07")),
)
EXACT: Sequence[Tuple[str, str, Value]] = (
    ("text", "a text", text("A b")), ("text_empty", "the empty text", text("")),
    ("bytes", "bytes", Value(BYTES, b"\x00\x80")), ("integer", "an integer", Value(INTEGER, b"\xff" * 8)),
    ("date", "a date", Value(DATE, b"\x07\xa5\x04\x03")),
    ("boolean", "a boolean", Value(BOOLEAN, b"\x01")), ("cbor", "CBOR", Value(CBOR, b"\x82\x01\xf6")),
    ("longest", "a result of 1,024 bytes", Value(BYTES, b"\x5a" * 1023)),
)


def value_lines(item: Value) -> List[Line]:
    """`type` and `value`."""
    if len(item.data) > 200 and item.data == item.data[:2] * (len(item.data) // 2) + item.data[:len(item.data) % 2]:
        return [("type", bytes([item.type])),
                ("value-repeat", "%d %s" % (len(item.data), item.data[:2].hex()))]
    return [("type", bytes([item.type])), ("value", item.data)]


def make_normal(files: Files) -> None:
    """Normal forms."""
    for name, rows in (("urdu-name/v1", URDU), ("latin-name/v1", LATIN), ("digits/v1", DIGITS),
                       ("date/v1", DATES), ("e164/v1", PHONES)):
        form = form_of(name)
        for case, about, first, same, differ in rows:
            got = normal.normalize(form, text(first))
            for other in same:
                assert normal.normalize(form, text(other)) == got, (name, case, other)
            for other in differ:
                assert normal.normalize(form, text(other)) != got, (name, case, other)
            put(files, "normal_%s_%s" % (slug(name), case), "normal", "success", about[0].upper() + about[1:] + ".",
                [("form", name), *value_lines(text(first)), ("normal", got)]
                + [("same", other.encode("utf-8")) for other in same]
                + [("differs", other.encode("utf-8")) for other in differ])
    more = [("exact/v1", name, about, item) for name, about, item in EXACT]
    more += [("date/v1", "date", "a value of the type date", Value(DATE, b"\x07\xa5\x04\x03")),
             ("date/v1", "date_year_only", "a date of which only the year is known",
              Value(DATE, b"\x00\x39\x00\x00")),
             ("digits/v1", "longest", "1,024 digits", text("12" * 512)),
             (CUSTOM, "custom", "an identifier of the schema's own", text("zz-000 001-234"))]
    for name, case, about, item in more:
        form = form_of(name)
        folder = "" if name == CUSTOM else slug(name) + "_"
        put(files, "normal_%s%s" % (folder, case), "normal", "success", "Normal form: %s." % about,
            [("form", name), *value_lines(item), ("normal", normal.normalize(form, item))])
    refused = [(form, name, "malformed", about, text(item)) for form, name, about, item in REFUSED_TEXTS]
    for name, case, expect, about, item in [*refused, *REFUSED_VALUES]:
        put(files, "normal_%s_refused_%s" % (slug(name), case), "normal", expect, "Refused: %s." % about,
            [("form", name), *value_lines(item)])


# -- chapter 8.3 --------------------------------------------------------------

def with_check(name: str, rest: str) -> str:
    """A number and its check digit, which stands last."""
    what = identifier.of(name)
    return rest + str(identifier.CHECKS[what.check](rest))


VSNR = next(found for found in map(identifier.of("at-vsnr").at_rank, range(72_000_000 - 1, 0, -1)) if found)
GOOD: Sequence[Tuple[str, str, str, str]] = (
    ("cnic", "normal", "the normal form", CNIC),
    ("cnic", "display", "the display form", "00000-1234567-8"),
    ("cnic", "urdu_digits", "digits of Urdu in the display form",
     "\u06f0\u06f0\u06f0\u06f0\u06f0-\u06f1\u06f2\u06f3\u06f4\u06f5\u06f6\u06f7-\u06f8"),
    ("cnic", "lenient", "other separators", " 00000/123.4567_8\u0640\u200f"),
    ("cnic", "odd_first_digit", "a first digit of 8, of which a program may warn", "8000012345678"),
    ("cnic", "odd_last_digit", "a last digit of 0, of which a program may warn", "1000012345670"),
    ("cnic", "not_odd", "nothing to warn of", "1000012345671"),
    ("nic-before-2001", "normal", "eleven digits", "00000123456"),
    ("family-number", "lower_case", "small letters become capitals", "0zz-0a1"),
    ("pk-passport", "normal", "the normal form", PASSPORT),
    ("pk-passport", "lower_case", "small letters and a space", "zz 0000123"),
    ("aadhaar", "normal", "with its check digit", AADHAAR),
    ("aadhaar", "display", "in groups of four", " ".join((AADHAAR[:4], AADHAAR[4:8], AADHAAR[8:]))),
    ("aadhaar-vid", "normal", "with its check digit", with_check("aadhaar-vid", "999900000012345")),
    ("mosip-uin", "normal", "with its check digit", with_check("mosip-uin", "900000012")),
    ("mosip-uin", "not_odd", "neither equal neighbours nor a run", ""),
    ("mosip-uin", "odd_run", "three digits that rise", ""),
    ("mosip-vid", "normal", "with its check digit", with_check("mosip-vid", "900000001234567")),
    ("bd-nid", "10_digits", "the smart card", "0000012345"),
    ("bd-nid", "13_digits", "the older one", "0000012345678"),
    ("bd-nid", "17_digits", "the older one with the birth year", "19570000012345678"),
    ("ng-nin", "normal", "eleven digits", "00000123456"),
    ("ng-vnin", "lower_case", "small letters", "zz000000012345zz"),
    ("ee-isikukood", "normal", "with its check digit", with_check("ee-isikukood", "1001231012")),
    ("ee-isikukood", "second_weights", "the second row of weights", ""),
    ("ee-isikukood", "both_ten", "ten under both rows of weights: the check digit is 0", ""),
    ("at-vsnr", "normal", "the check digit is the fourth", VSNR),
    ("at-vsnr", "not_odd", "a day that exists", ""),
    ("phone", "display", "a telephone number", "+92 300 0000000"),
    ("mrz", "td3", "two lines of 44", "td3"), ("mrz", "td2", "two lines of 36", "td2"),
    ("mrz", "td1", "three lines of 30", "td1"),
    ("mrz", "td1_long_number", "a document number that goes on in the optional part", "td1-long"),
    ("mrz", "td3_empty_optional", "an empty optional part whose check digit is a filler", "td3-empty"),
    ("mrz", "lower_case", "small letters and other line ends", "td3-lower"),
)


def mrz(which: str) -> str:
    """A zone of an invented person of Utopia, with its check digits."""
    icao = identifier.icao
    birth, expiry = "570403", "301231"
    birth, expiry = birth + icao(birth), expiry + icao(expiry)
    name = "SPECIMEN<<GULBADAN<TEST"
    if which.startswith("td3"):
        number = PASSPORT + icao(PASSPORT)
        optional = "<" * 14 if which == "td3-empty" else CNIC + "<"
        digit = "<" if which == "td3-empty" else icao(optional)
        over = number + birth + expiry + optional + digit
        second = number + "UTO" + birth + "F" + expiry + optional + digit + icao(over)
        lines = [("P<UTO" + name).ljust(44, "<"), second]
        if which == "td3-lower":
            return (lines[0] + "\r\n " + lines[1] + "\r\n").lower()
    elif which == "td2":
        number = PASSPORT + icao(PASSPORT)
        optional = "0123<<<"
        over = number + birth + expiry + optional
        lines = [("I<UTO" + name).ljust(36, "<"),
                 number + "UTO" + birth + "F" + expiry + optional + icao(over)]
    else:
        if which == "td1-long":
            rest = "456"
            number, optional = PASSPORT + "<", (rest + icao(PASSPORT + rest)).ljust(15, "<")
        else:
            number, optional = PASSPORT + icao(PASSPORT), CNIC + "<<"
        second = "<" * 11
        over = number + optional + birth + expiry + second
        lines = ["I<UTO" + number + optional, birth + "F" + expiry + "UTO" + second + icao(over),
                 name.ljust(30, "<")]
    return "\n".join(lines)


def estonian(first: bool) -> str:
    """A number that needs the second row of weights, and one that is ten under both."""
    for serial in range(1000):
        rest = "1001231%03d" % serial
        one, two = (sum(int(a) * int(b) for a, b in zip(rest, weights)) % 11
                    for weights in ("1234567891", "3456789123"))
        if one == 10 and (two == 10) != first:
            return with_check("ee-isikukood", rest)
    raise AssertionError


def with_uin(first: str) -> str:
    """The first UIN that begins so; an odd one if the beginning is a run."""
    what = identifier.of("mosip-uin")
    for number in range(10 ** (9 - len(first))):
        rest = first + str(number).zfill(9 - len(first))
        made = rest + str(identifier.CHECKS[what.check](rest))
        if identifier.odd("mosip-uin", made) == (len(first) > 2):
            return made
    raise AssertionError


def vsnr_of_a_date() -> str:
    """A number of the last day of 2099."""
    for serial in range(100, 1000):
        rest = "%d311299" % serial
        digit = identifier.CHECKS["Austrian"](rest)
        if digit is not None:
            return rest[:3] + digit + rest[3:]
    raise AssertionError


def wrong_digit(number: str, at: int = -1) -> str:
    """One digit changed."""
    at %= len(number)
    return number[:at] + str((int(number[at]) + 1) % 10) + number[at + 1:]


def palindrome() -> str:
    """An Aadhaar number with a good check digit that reads the same backwards."""
    for half in range(999_990, 999_000, -1):
        number = str(half) + str(half)[::-1]
        if identifier.CHECKS["verhoeff"](number[:-1]) == number[-1]:
            return number
    raise AssertionError


def refused_identifiers() -> List[Tuple[str, str, str, str]]:
    """Name, case, about, text."""
    no_check = next(rest for rest in ("900%06d" % n for n in range(1000))
                    if identifier.CHECKS["Austrian"](rest) is None)
    td3, td1 = mrz("td3"), mrz("td1")
    return [
        ("cnic", "12_digits", "one digit too few", CNIC[:-1]),
        ("cnic", "14_digits", "one digit too many", CNIC + "0"),
        ("cnic", "letter", "a letter", "00000-12345O7-8"),
        ("cnic", "full_width", "full-width digits", "\uff10" * 13),
        ("cnic", "devanagari", "digits of another script", "\u0966" * 13),
        ("cnic", "star", "a mask", "*****-***4567-*"),
        ("cnic", "empty", "nothing", ""),
        ("pk-passport", "digits_first", "digits where letters stand", "000012345"),
        ("family-number", "sign", "a sign that is no separator", "0ZZ#A1"),
        ("aadhaar", "check_digit", "a wrong check digit", wrong_digit(AADHAAR)),
        ("aadhaar", "swapped", "two neighbours swapped",
         AADHAAR[:8] + AADHAAR[9] + AADHAAR[8] + AADHAAR[10:]),
        ("aadhaar", "first_digit_1", "a first digit of 1", with_check("aadhaar", "19990000123")),
        ("aadhaar", "backwards", "the same backwards", palindrome()),
        ("aadhaar-vid", "check_digit", "a wrong check digit",
         wrong_digit(with_check("aadhaar-vid", "999900000012345"))),
        ("mosip-uin", "check_digit", "a wrong check digit", wrong_digit(with_check("mosip-uin", "900000012"))),
        ("bd-nid", "11_digits", "a length between two shapes", "00000123456"),
        ("bd-nid", "17_digits_first_3", "a birth year of the fourth millennium", "30000000012345678"),
        ("ee-isikukood", "check_digit", "a wrong check digit",
         wrong_digit(with_check("ee-isikukood", "1001231012"))),
        ("ee-isikukood", "29_february_1800", "29 February 1800", with_check("ee-isikukood", "1000229012")),
        ("ee-isikukood", "month_13", "a 13th month", with_check("ee-isikukood", "1001301012")),
        ("at-vsnr", "check_digit", "a wrong check digit", wrong_digit(VSNR, 3)),
        ("at-vsnr", "no_check_digit", "digits that have no check digit",
         no_check[:3] + "0" + no_check[3:]),
        ("ng-vnin", "digits_only", "digits where letters stand", "0" * 16),
        ("mrz", "89_characters", "another length", td3 + "<"),
        ("mrz", "number_check_digit", "the check digit of the document number",
         td3[:45 + 9] + wrong_digit(td3[45 + 9]) + td3[45 + 10:]),
        ("mrz", "last_check_digit", "the last check digit", td3[:-1] + wrong_digit(td3[-1])),
        ("mrz", "visa", "a visa", "V" + td3[1:]),
        ("mrz", "sex", "a letter that is no sex", td3[:45 + 20] + "Q" + td3[45 + 21:]),
        ("mrz", "long_number_without_rest", "a long document number without its rest",
         td1[:14] + "<" + "<" * 15 + td1[30:]),
        ("mrz", "dash", "a dash", td3[:44] + "-" + td3[44:]),
        ("phone", "local", "a number without area", "1234567"),
    ]


CUSTOMS: Sequence[Tuple[str, str, str]] = (
    ("por-card:[A-Z]{2}[0-9]{9} none", "zz 000-001234", "ZZ00000123"),
    ("card-luhn:[0-9]{4}-[0-9]{4}-[0-9] luhn", "00001234" + str(identifier.CHECKS["luhn"]("00001234")),
     "000012341" if identifier.CHECKS["luhn"]("00001234") != "1" else "000012342"),
    ("card-icao:[0-9A-Z]{6}#[0-9] icao-9303", "0z0a1b" + identifier.icao("0Z0A1B"),
     "0Z0A1B" + wrong_digit(identifier.icao("0Z0A1B"))),
    ("fixed-letters:[P][k][0-9]{8} verhoeff", "", ""),
    ("card-verhoeff:[0-9]{5}/[0-9] verhoeff", "00012" + str(identifier.CHECKS["verhoeff"]("00012")),
     "00012" + wrong_digit(str(identifier.CHECKS["verhoeff"]("00012")))),
)


def make_identifiers(files: Files) -> None:
    """Identifiers and masks."""
    special: Dict[str, Callable[[], str]] = {
        "mosip-uin_not_odd": lambda: with_uin("90"), "mosip-uin_odd_run": lambda: with_uin("901234"),
        "at-vsnr_not_odd": vsnr_of_a_date, "second_weights": lambda: estonian(True), "both_ten": lambda: estonian(False)}
    rows = [(name, "%s_%s" % (slug(name), case), about,
             mrz(item) if name == "mrz" else special[case]() if case in special
             else special[name + "_" + case]() if name + "_" + case in special else item)
            for name, case, about, item in GOOD]
    bad = [(name, "%s_refused_%s" % (slug(name), case), about, item)
           for name, case, about, item in refused_identifiers()]
    for described, good, wrong in CUSTOMS:
        name = slug(described.partition(":")[0])
        if good:
            rows.append((described, "custom_" + name, "an identifier of the schema's own", good))
            bad.append((described, "custom_%s_refused" % name, "a wrong one", wrong))
    for name, file, about, item in rows:
        what = surrogates.identifier_of(name)
        put(files, "identifier_" + file, "identifier", "success", "Valid: %s." % about,
            [("identifier", name), ("value", item.encode("utf-8")),
             *surrogates.identifier_lines(what, item)])
    for name, file, about, item in bad:
        put(files, "identifier_" + file, "identifier", "malformed", "Refused: %s." % about,
            [("identifier", name), ("value", item.encode("utf-8"))])
    for described, expect, case, about in (
            ("x:[0-9]{0} none", "schema", "count_0", "a count of 0"),
            ("x:[0-9]{65} none", "schema", "count_65", "a count of 65"),
            ("x:[0-9]{64}[0-9] none", "schema", "65_positions", "65 positions"),
            ("x:[9-0] none", "schema", "range_down", "a range that goes down"),
            ("x:[A-z] none", "schema", "range_mixed", "a range from capitals to small letters"),
            ("x:[a-] none", "schema", "range_open", "a range without an end"),
            ("x:[] none", "schema", "class_empty", "an empty class"),
            ("x:AB[0-9] none", "schema", "letters", "letters outside a class"),
            ("x:[0-9A-F] luhn", "schema", "luhn_letters", "a check digit over letters"),
            ("x:[0-9]{4}[0-8] luhn", "schema", "check_class", "a check digit that cannot be 9"),
            ("cnic:[0-9]{4} none", "schema", "name", "a name of 8.3.3"),
            ("x:" + "[0-9]" * 51 + "-- none", "limit", "257_bytes", "257 bytes"),
            ("x:-/- none", "schema", "no_position", "no position")):
        put(files, "identifier_pattern_refused_" + case, "identifier", expect, "Refused: %s." % about,
            [("identifier", described), ("value", b"0")])
    for name, case, item in (
            ("cnic", "normal", CNIC), ("cnic", "invalid", "1234"), ("cnic", "already", "*****-***4567-*"),
            ("cnic", "already_other", "*****-****567-*"), ("aadhaar", "normal", AADHAAR),
            ("aadhaar", "already", "**** **** " + AADHAAR[-4:]),
            ("at-vsnr", "normal", VSNR), ("ee-isikukood", "normal", with_check("ee-isikukood", "1001231012")),
            ("bd-nid", "17_digits", "19570000012345678"), ("bd-nid", "10_digits", "0000012345"),
            ("family-number", "normal", "0ZZ0A1"), ("pk-passport", "normal", PASSPORT),
            ("mrz", "td3", mrz("td3")), ("phone", "normal", "0300 0000123"),
            ("phone", "already", "+********0123"), ("phone", "seven_digits", "+2900123"),
            ("phone", "eight_digits", "+29000123"), ("ng-vnin", "normal", "ZZ000000012345ZZ"),
            (CUSTOM[len("custom/v1:"):], "custom", "ZZ000001234"),
            ("short:[0-9]{7} none", "custom_short", "0001234")):
        what = surrogates.identifier_of(name)
        put(files, "mask_%s_%s" % (slug(name.partition(":")[0]), case), "mask", "success",
            "What is shown instead of a value.",
            [("identifier", name), ("value", item.encode("utf-8")), ("mask", what.mask(item))])


# -- chapter 9 ----------------------------------------------------------------

ColumnValues = Sequence[Tuple[str, str, Value]]


def make_index(files: Files) -> None:
    """Index keys and terms."""
    secret = stream("derived_key_index")(32)
    for name, table, columns in (
            ("one_field", TABLE, [("cnic", "cnic/v1")]),
            ("two_fields", TABLE, [("name", "urdu-name/v1"), ("born", "date/v1")]),
            ("custom_form", TABLE, [("card", CUSTOM)])):
        lines: List[Line] = [("secret", secret), ("purpose", "index"), ("label", "amanat/v1/index"),
                             ("registry", REGISTRY), ("table", table), ("index", "by-" + name)]
        lines += [("column", "%s %s" % column) for column in columns]
        names = [(field, form_of(form).key_name) for field, form in columns]
        put(files, "derived_key_index_" + name, "derived-key", "success", "The key of an index.",
            lines + [("info", index.info(REGISTRY, table, "by-" + name, names)),
                     ("key", index.derive(secret, REGISTRY, table, "by-" + name, names))])
    cnic: ColumnValues = [("cnic", "cnic/v1", text("00000-1234567-8"))]
    both: ColumnValues = [("name", "urdu-name/v1", text("\u06af\u0644 \u0628\u062f\u0646")),
                          ("born", "date/v1", Value(DATE, b"\x07\xa5\x04\x03"))]
    for name, about, bits, columns2, states in (
            ("4_bits", "4 bits, the fewest", 4, cnic, ["active"]),
            ("12_bits", "12 bits: half a byte is unused", 12, cnic, ["active"]),
            ("13_bits", "13 bits: three bits are unused", 13, cnic, ["active"]),
            ("40_bits", "40 bits", 40, cnic, ["active"]),
            ("128_bits", "128 bits, the most", 128, cnic, ["active"]),
            ("two_fields", "a name and a birth date", 24, both, ["active"]),
            ("two_fields_swapped", "the same fields in another order are another index", 24,
             list(reversed(both)), ["active"]),
            ("two_generations", "a search under two generations", 40, cnic, ["deactivated", "active"]),
            ("not_opening", "suspended, compromised and waiting keys are not searched", 40, cnic,
             ["suspended", "compromised", "pre-activation", "destroyed", "active"]),
            ("custom_form", "a form of the schema's own", 40,
             [("card", CUSTOM, text("zz-000001234"))], ["active"])):
        put_term(files, "index_term_" + name, about, bits, columns2, states)
    for name, expect, about, bits, columns2 in (
            ("3_bits", "limit", "3 bits", 3, cnic), ("129_bits", "limit", "129 bits", 129, cnic),
            ("null", "schema", "an absent value has no term", 40, [("cnic", "cnic/v1", Value(NULL, b""))]),
            ("invalid", "malformed", "a value without a normal form", 40, [("cnic", "cnic/v1", text("1"))]),
            ("9_fields", "limit", "nine fields", 40,
             [("f%d" % n, "digits/v1", text("1")) for n in range(9)])):
        lines = term_inputs(bits, columns2, [("active", stream("index_term_refused")(32))])
        put(files, "index_term_refused_" + name, "index-term", expect, "Refused: %s." % about, lines)


def term_inputs(bits: int, columns: ColumnValues, keyset: Sequence[Tuple[str, bytes]]) -> List[Line]:
    """The lines of a refusal."""
    lines: List[Line] = [("key", "%s %s" % (state, secret.hex())) for state, secret in keyset]
    lines += [("registry", REGISTRY), ("table", TABLE), ("index", "by-vector"), ("bits", bits)]
    lines += [("column", "%s %s" % (field, form)) for field, form, _ in columns]
    return lines + [("value", typed(item)) for _, _, item in columns]


def put_term(files: Files, name: str, about: str, bits: int, columns: ColumnValues,
             states: Sequence[str]) -> None:
    """One good term."""
    take = stream(name)
    keyset = [(state, take(32)) for state in states]
    ids = [keys.key_id(secret, "index")[0] for _, secret in keyset]
    assert len(set(ids)) == len(ids), name
    values = [normal.normalize(form_of(form), item) for _, form, item in columns]
    names = [(field, form_of(form).key_name) for field, form, _ in columns]
    lines = term_inputs(bits, columns, keyset)
    lines.append(("info", index.info(REGISTRY, TABLE, "by-vector", names)))
    lines += [("normal", item) for item in values]
    lines.append(("pae", pae(*values)))
    opening = [secret for state, secret in keyset if keys.STATES[state].open]
    found = [index.derive(secret, REGISTRY, TABLE, "by-vector", names) for secret in opening]
    lines += [("tag", keys.key_id(secret, "index")[:1]) for secret in opening]
    lines += [("index-key", key) for key in found]
    lines += [("mac", index.mac(key, values)) for key in found]
    for secret in opening:
        lines.append(("term", index.term(keys.new_key(secret, "index"), REGISTRY, TABLE, "by-vector",
                                         names, bits, values)))
    put(files, name, "index-term", "success", about[0].upper() + about[1:] + ".", lines)


# -- chapter 10 ---------------------------------------------------------------

class Made:
    """A token and what it was made with."""

    def __init__(self, name: str, kind: str, item: Value, form: str = "cnic/v1", epoch: int = 1,
                 audience: Audience = AUDIENCE, states: Sequence[str] = ("active",),
                 ends: int = NOW) -> None:
        self.take = stream(name)
        self.states, self.secrets = states, [self.take(32) for _ in states]
        self.kind, self.item, self.form, self.audience = kind, item, form, audience
        self.key = keys.new_key(self.secrets[epoch - 1], "token")
        self.token_key = tokens.derive(self.key, REGISTRY, kind, audience)
        self.read = normal.normalize(form_of(form), item)
        self.extra: List[Line] = []
        header = Token(kind, epoch, audience, b"").header
        self.token = Token(kind, epoch, audience, self._data(header, ends))

    def _data(self, header: str, ends: int) -> bytes:
        name = form_of(self.form).key_name
        if self.kind == "pairwise":
            return tokens.pairwise(self.token_key, name, self.read)
        if self.kind == "reversible":
            return tokens.reversible(self.token_key, self.key.id, self.read)
        if self.kind == "expiring":
            return tokens.expiring(self.token_key, header, ends, self.take(11), self.read)
        if self.kind == "preserving":
            tool = tokens.Preserving(self.token_key, self.audience, name,
                                     surrogates.what_of(form_of(self.form)))
            return tool.make(self.read.decode("ascii"))[0].encode("ascii")
        body, index_secret, field_secret = self.take(16), self.take(32), self.take(32)
        entry = envelope.seal(keys.new_key(field_secret, "field"), envelope.XAES,
                              envelope.Field(REGISTRY, tokens.VAULT, "value"),
                              tokens.vault_record_id(header + name, body), self.take(24),
                              tokens.as_value(self.read))
        self.extra = [("index-secret", index_secret), ("field-secret", field_secret),
                      ("envelope", entry)]
        return tokens.vaulted(self.token_key, body)

    def lines(self, token: Optional[str] = None, states: Optional[Sequence[str]] = None,
              audience: Optional[Audience] = None, now: Optional[int] = None,
              registry: str = REGISTRY) -> List[Line]:
        """The inputs."""
        recipient, purpose = audience or self.audience
        lines: List[Line] = [("key", "%s %s" % (state, secret.hex()))
                             for state, secret in zip(states or self.states, self.secrets)]
        lines += [("registry", registry), ("recipient", recipient), ("token-purpose", purpose),
                  ("form", self.form)]
        lines += [("now", now)] if now is not None else []
        return lines + [("text", token or self.token.encode())]

    def put(self, files: Files, name: str, about: str, now: Optional[int] = None) -> None:
        """A success, with every intermediate value."""
        lines = self.lines(now=now) + [("value", typed(self.item)), *self.extra]
        head = "\n".join("%s: %s" % (k, i.hex() if isinstance(i, bytes) else i) for k, i in lines)
        v = Vector(name, b"amanat vector v1\n" + head.encode("utf-8") + b"\n")
        lines += surrogates.token_lines(v, self.key, REGISTRY, self.token, form_of(self.form), self.read)
        put(files, name, "token", "success", about, lines)


def changed(made: Made, **other: Union[str, int, bytes, Audience]) -> str:
    """The text of a token that says something else, with good check symbols."""
    return made.token._replace(**other).encode()  # type: ignore[arg-type]


KINDS_ABOUT = (("pairwise", "the number cannot be read from it"), ("reversible", "it opens"),
               ("expiring", "it opens until it expires"), ("vaulted", "its body is random"))


def make_tokens(files: Files) -> None:
    """Tokens of every kind."""
    secret = stream("derived_key")(32)
    for kind in ("pairwise", "expiring", "vaulted", "preserving"):
        names = (REGISTRY, kind, *AUDIENCE)
        put(files, "derived_key_token_" + kind, "derived-key", "success",
            "The %d-byte key of %s tokens." % (keys.TOKEN_KEY_BYTES[kind], kind),
            [("secret", secret), ("purpose", "token"), ("label", "amanat/v1/token"),
             ("registry", REGISTRY), ("kind-of-token", kind), ("recipient", AUDIENCE.recipient),
             ("token-purpose", AUDIENCE.purpose), ("info", keys.token_info(*names)),
             ("key", keys.token_key(secret, *names))])
    name = text("\u06af\u0644 \u0628\u062f\u0646")
    longest = Audience("r" * 32, "0123456789_.-abcdefghijklmnopqrs")
    cnic = text("00000-1234567-8")
    before = {"expiring": NOW - 1}
    for kind, about in KINDS_ABOUT:
        now = before.get(kind)
        for case, more, item, form, options in (
                ("cnic", "an identity number", cnic, "cnic/v1", {}),
                ("urdu_name", "a name", name, "urdu-name/v1", {}),
                ("second_epoch", "a key of the second epoch", cnic, "cnic/v1",
                 {"epoch": 2, "states": ("active", "active")}),
                ("deactivated_key", "a deactivated key", cnic, "cnic/v1", {"states": ("deactivated",)}),
                ("longest_names", "the longest names", cnic, "cnic/v1", {"audience": longest}),
                ("custom_form", "a form of the schema's own", text("zz000001234"), CUSTOM, {}),
                ("not_utf8", "a normal form that is not UTF-8", Value(BYTES, b"\xff\xfe"), "exact/v1", {}),
                ("256_bytes", "a normal form of 256 bytes", text("1" * 256), "digits/v1", {})):
            if case in ("not_utf8", "256_bytes") and kind not in ("reversible", "expiring"):
                continue
            file = "token_%s_%s" % (kind, case)
            made = Made(file, kind, item, form, **options)  # type: ignore[arg-type]
            made.put(files, file, "A %s token (%s): %s." % (kind, about, more), now)
    for case, form, item in (
            ("cnic", "cnic/v1", CNIC), ("aadhaar", "aadhaar/v1", AADHAAR),
            ("pk_passport", "pk-passport/v1", PASSPORT), ("at_vsnr", "at-vsnr/v1", VSNR),
            ("ee_isikukood", "ee-isikukood/v1", with_check("ee-isikukood", "1001231012")),
            ("family_number", "family-number/v1", "0ZZ0A1"), ("ng_vnin", "ng-vnin/v1", "ZZ000000012345ZZ"),
            ("custom_form", CUSTOM, "ZZ000001234"),
            ("smallest_domain", "custom/v1:six:[0-9]{6} none", "000123"),
            ("largest_domain", "custom/v1:nineteen:[0-9]{19} none", "0000000000000000123")):
        file = "token_preserving_" + case
        made = Made(file, "preserving", text(item), form)
        made.put(files, file, "A preserving token, which looks like the identifier itself.")
    for number in range(1000):
        file = "token_preserving_long_walk"
        made = Made(file, "preserving", text(str(identifier.of("ee-isikukood").at_rank(
            100_000 + number) or with_check("ee-isikukood", "1001231012"))), "ee-isikukood/v1")
        tool = tokens.Preserving(made.token_key, AUDIENCE, made.form, identifier.of("ee-isikukood"))
        if len(tool.make(made.read.decode())[1]) >= 12:
            made.put(files, file, "A walk of twelve steps or more.")
            break
    else:
        raise AssertionError("no long walk")
    make_tokens_refused(files, cnic)


def make_tokens_refused(files: Files, cnic: Value) -> None:
    """Tokens that are refused with a key."""
    def add(kind: str, case: str, expect: str, about: str, lines: List[Line]) -> None:
        put(files, "token_%s_refused_%s" % (kind, case), "token", expect, "Refused: %s." % about, lines)
    for kind, _ in KINDS_ABOUT:
        now = NOW - 1 if kind == "expiring" else None
        made = Made("token_%s_refused" % kind, kind, cnic, states=("active", "active"))
        other = Audience("other", AUDIENCE.purpose)
        add(kind, "body_changed", "unauthentic", "one bit of the body changed",
            made.lines(changed(made, data=flip(made.token.data, 18 if kind == "reversible" else 0)), now=now))
        add(kind, "end_changed", "unauthentic", "one bit of the end changed",
            made.lines(changed(made, data=flip(made.token.data, -1)), now=now))
        add(kind, "header_rewritten", "unauthentic", "another recipient was written in",
            made.lines(changed(made, audience=other), audience=other, now=now))
        add(kind, "registry", "unauthentic", "another registry", made.lines(registry="other", now=now))
        add(kind, "epoch_rewritten", "unknown-key" if kind == "reversible" else "unauthentic", "another epoch was written in",
            made.lines(changed(made, epoch=2), now=now))
        add(kind, "epoch_unknown", "unknown-key", "an epoch that the keyring does not have",
            made.lines(changed(made, epoch=3), now=now))
        for state in ("suspended", "compromised", "pre-activation", "destroyed"):
            add(kind, "key_" + state.replace("-", "_"), "key-unusable", "a key that is " + state,
                made.lines(states=(state, "active"), now=now))
    made = Made("token_expiring_refused_at", "expiring", cnic)
    for case, now in (("at_expiry", NOW), ("after_expiry", NOW + 86_400)):
        add("expiring", case, "expired", "the time is over", made.lines(now=now))
    add("expiring", "expiry_moved", "unauthentic", "a later expiry was written in",
        made.lines(changed(made, data=(NOW + 99).to_bytes(5, "big") + made.token.data[5:]), now=NOW))
    made = Made("token_expiring_refused_length", "expiring", cnic)
    add("expiring", "31_bytes", "malformed", "31 bytes of data",
        made.lines(changed(made, data=made.token.data[:31]), now=NOW - 1))
    for length in (32, 33, 47):
        add("expiring", "%d_bytes" % length, "unauthentic", "%d bytes of data" % length,
            made.lines(changed(made, data=made.token.data[:length]), now=NOW - 1))
    made = Made("token_reversible_refused_suite", "reversible", cnic)
    add("reversible", "suite_1", "unsupported", "an envelope of suite 1",
        made.lines(changed(made, data=bytes([1, 1]) + made.token.data[2:18] + bytes(56))))
    add("reversible", "version_2", "unsupported", "an envelope of version 2",
        made.lines(changed(made, data=b"\x02" + made.token.data[1:])))
    for case, form, about, data in (
            ("five_digits", "custom/v1:five:[0-9]{5} none", "a domain of 10^5", b"00001"),
            ("twenty_digits", "custom/v1:twenty:[0-9]{20} none", "no domain: more than 2^64", b"0" * 20),
            ("large_domain", "custom/v1:large:[0-9A-E][0-9]{18} none", "a domain of 1.5 x 10^19",
             b"0" * 19), ("lengths", "bd-nid/v1", "no domain: three lengths", b"0" * 10)):
        made = Made("token_preserving_refused_domain", "preserving", text(CNIC))
        lines = [(key, form if key == "form" else item)
                 for key, item in made.lines(changed(made, data=data))]
        add("preserving", case, "limit", about, lines)
    made = Made("token_preserving_refused", "preserving", text(AADHAAR), "aadhaar/v1")
    shown = made.token.data.decode()
    for case, about, data in (
            ("check_digit", "a wrong check digit", wrong_digit(shown)),
            ("display_form", "the display form", " ".join((shown[:4], shown[4:8], shown[8:])))):
        add("preserving", case, "malformed", about, made.lines(changed(made, data=data.encode())))


def make_token_texts(files: Files) -> None:
    """The text of tokens, read without a key."""
    made = {kind: Made("token_text_" + kind, kind, text(CNIC)) for kind in tokens.KINDS}
    for kind, one in made.items():
        token = one.token
        put(files, "token_text_" + kind, "token-text", "success", "The text of a %s token." % kind,
            [("text", token.encode()), ("kind-of-token", kind), ("epoch", token.epoch),
             ("recipient", token.audience.recipient), ("token-purpose", token.audience.purpose),
             ("header", token.header), ("data", token.data)])
    token = made["pairwise"].token
    good, data = token.encode(), token.data
    for case, changes in (("epoch_1024", {"epoch": 1024}),
                          ("names_with_1", {"audience": Audience("1", "a1.1-_1")})):
        other = token._replace(**changes)  # type: ignore[arg-type]
        put(files, "token_text_" + case, "token-text", "success", "The text of a token.",
            [("text", other.encode()), ("kind-of-token", "pairwise"), ("epoch", other.epoch),
             ("recipient", other.audience.recipient), ("token-purpose", other.audience.purpose),
             ("header", other.header), ("data", other.data)])

    def header(text_: str, payload: bytes = data) -> str:
        return bech32m.encode(text_, payload)
    names = "%s:%s:" % AUDIENCE
    at = good.rindex("1") + 8
    wrong = bech32m.SYMBOLS[(bech32m.SYMBOLS.index(good[at]) + 1) % 32]
    stray = bech32m.groups(made["expiring"].token.data)
    assert len(made["expiring"].token.data) * 8 % 5
    for case, expect, about, bad in (
            ("upper_case", "malformed", "capitals", good.upper()),
            ("one_capital", "malformed", "one capital in the header", good.replace("tax", "Tax")),
            ("mistyped", "malformed", "one symbol changed", good[:at] + wrong + good[at + 1:]),
            ("mistyped_header", "malformed", "one letter of the recipient changed", good.replace("tax", "tex")),
            ("mistyped_kind", "malformed", "the letter of the kind changed", good.replace(":p:", ":r:")),
            ("swapped", "malformed", "two symbols swapped",
             good[:at] + good[at + 1] + good[at] + good[at + 2:] if good[at] != good[at + 1]
             else good[:at - 1] + good[at] + good[at - 1] + good[at + 1:]),
            ("cut_short", "malformed", "the last symbol is missing", good[:-1]),
            ("cut_to_header", "malformed", "nothing behind the separator", token.header + "1"),
            ("symbol_outside", "malformed", "a letter that is no symbol", good[:-1] + "b"),
            ("space_behind", "malformed", "a space behind it", good + " "),
            ("not_ascii", "malformed", "a letter outside ASCII", good.replace("tax", "t\u00e4x")),
            ("empty", "malformed", "nothing", ""), ("prefix_only", "malformed", "the prefix alone", "amt1:"),
            ("version_2", "unsupported", "another version", "amt2" + good[4:]),
            ("version_empty", "unsupported", "no version", "amt" + good[4:]),
            ("version_12", "unsupported", "another version", "amt12" + good[4:]),
            ("kind_unknown", "unsupported", "a kind that is not in the table", header("amt1:q:1:" + names)),
            ("kind_two_letters", "unsupported", "a kind of two letters", header("amt1:pp:1:" + names)),
            ("kind_empty", "unsupported", "no kind", header("amt1::1:" + names)),
            ("epoch_0", "malformed", "epoch 0", header("amt1:p:0:" + names)),
            ("epoch_1025", "malformed", "epoch 1,025", header("amt1:p:1025:" + names)),
            ("epoch_leading_zero", "malformed", "an epoch with a leading zero", header("amt1:p:01:" + names)),
            ("epoch_empty", "malformed", "no epoch", header("amt1:p::" + names)),
            ("recipient_33_bytes", "malformed", "a recipient of 33 bytes",
             header("amt1:p:1:%s:matching:" % ("r" * 33))),
            ("purpose_33_bytes", "malformed", "a purpose of 33 bytes",
             header("amt1:p:1:tax-office:%s:" % ("p" * 33))),
            ("recipient_empty", "malformed", "no recipient", header("amt1:p:1::matching:")),
            ("name_with_capital", "malformed", "a capital in a name", header("amt1:p:1:Tax:matching:")),
            ("part_missing", "malformed", "no purpose", header("amt1:p:1:tax-office:")),
            ("part_more", "malformed", "a part too many", header("amt1:p:1:%smore:" % names)),
            ("last_colon_missing", "malformed", "no colon in front of the separator",
             header("amt1:p:1:" + names[:-1])),
            ("stray_bits", "malformed", "bits behind the last byte that are not zero",
             bech32m.encode_groups(made["expiring"].token.header, stray[:-1] + [stray[-1] | 1])),
            ("stray_group", "malformed", "a whole group behind the last byte",
             bech32m.encode_groups(token.header, bech32m.groups(data) + [0])),
            ("bech32", "malformed", "the check symbols of BIP 173", bech32(token.header, data)),
            ("pairwise_19_bytes", "malformed", "a pairwise token of 19 bytes", header(token.header, data[:19])),
            ("pairwise_21_bytes", "malformed", "a pairwise token of 21 bytes", header(token.header, data + b"\0")),
            ("vaulted_16_bytes", "malformed", "a vaulted token without proof",
             header(made["vaulted"].token.header, data[:16])),
            ("no_data", "malformed", "a token without data", header(token.header, b"")),
            ("1024_characters", "limit", "1,024 characters", good + "q" * (1024 - len(good)))):
        put(files, "token_text_refused_" + case, "token-text", expect, "Refused: %s." % about,
            [("text", bad)])


def bech32(header: str, data: bytes) -> str:
    """The older check symbols: the constant is 1."""
    values = bech32m.groups(data)
    check = bech32m._polymod(bech32m._expand(header) + values + [0] * 6) ^ 1
    checks = [check >> 5 * (5 - at) & 31 for at in range(6)]
    return header + "1" + "".join(bech32m.SYMBOLS[value] for value in values + checks)


def make_ff1(files: Files) -> None:
    """FF1 alone."""
    for name, about, key_bytes, radix, length, tweak_bytes in (
            ("radix_2", "the least radix", 32, 2, 20, 8), ("radix_10_13", "thirteen digits", 32, 10, 13, 8),
            ("radix_10_19", "nineteen digits", 32, 10, 19, 8), ("radix_10_6", "the smallest domain", 32, 10, 6, 8),
            ("radix_36", "letters and digits", 32, 36, 9, 0), ("radix_65536", "the greatest radix", 32, 65_536, 7, 16),
            ("radix_10_57", "more than one block of S", 32, 10, 57, 8),
            ("long_tweak", "a tweak of 100 bytes", 32, 10, 10, 100)):
        take = stream("ff1_" + name)
        key, tweak = take(key_bytes), take(tweak_bytes)
        plain = [int.from_bytes(take(4), "big") % radix for _ in range(length)]
        sealed = Ff1(key).encrypt(radix, tweak, plain)
        put(files, "ff1_" + name, "ff1", "success", "FF1: %s." % about,
            [("aes-key", key), ("radix", radix), ("tweak", tweak),
             ("plain", " ".join(map(str, plain))), ("sealed", " ".join(map(str, sealed)))])
    take = stream("ff1_refused")
    key = take(32)
    for name, expect, about, radix, plain in (
            ("domain_small", "limit", "a domain of 10^5", 10, [1] * 5),
            ("numeral", "malformed", "a numeral that is the radix", 10, [10] + [1] * 7),
            ("one_numeral", "limit", "one numeral", 65_536, [1])):
        put(files, "ff1_refused_" + name, "ff1", expect, "Refused: %s." % about,
            [("aes-key", key), ("radix", radix), ("tweak", b""), ("plain", " ".join(map(str, plain)))])


def make_translations(files: Files) -> None:
    """Tokens that leave for another recipient."""
    take = stream("translation")
    private, ephemeral, other = take(32), take(32), take(32)
    public = hpke.public_key(private)
    made = Made("translation_token", "pairwise", text(CNIC))
    token = made.token.encode()
    sealed, schedule = tokens.seal_translation(ephemeral, public, REGISTRY, AUDIENCE, token)

    def inputs(text_: str, registry: str = REGISTRY, audience: Audience = AUDIENCE,
               private_: bytes = private) -> List[Line]:
        return [("registry", registry), ("recipient", audience.recipient),
                ("token-purpose", audience.purpose),
                ("recipient-key", tokens.RECIPIENT_KEY_PREFIX + b64(private_)), ("text", text_)]
    put(files, "translation_pairwise", "translation", "success", "A pairwise token, sealed to its recipient.",
        inputs(sealed) + [("public", public), ("public-text", tokens.public_text(public)),
                          ("ephemeral", ephemeral),
                          ("info", tokens.translation_info(REGISTRY, AUDIENCE)),
                          ("shared-secret", schedule.shared_secret), ("hpke-key", schedule.key),
                          ("base-nonce", schedule.base_nonce), ("token", token)])
    data = unb64(sealed[5:])

    def encoded(changed_: bytes) -> str:
        return tokens.TRANSLATION_PREFIX + b64(changed_)
    elsewhere = Made("translation_elsewhere", "pairwise", text(CNIC), audience=Audience("other", "matching"))
    wrong_inside, _ = tokens.seal_translation(ephemeral, public, REGISTRY, AUDIENCE, elsewhere.token.encode())
    for case, expect, about, lines in (
            ("private_key", "unauthentic", "another private key", inputs(sealed, private_=other)),
            ("registry", "unauthentic", "another registry", inputs(sealed, "other")),
            ("recipient", "unauthentic", "another recipient", inputs(sealed, audience=Audience("other", "matching"))),
            ("purpose", "unauthentic", "another purpose", inputs(sealed, audience=Audience("tax-office", "other"))),
            ("encapsulated_changed", "unauthentic", "one bit of the encapsulated key changed",
             inputs(encoded(flip(data, 5)))),
            ("encapsulated_zero", "unauthentic", "an encapsulated key of order one",
             inputs(encoded(data[:1] + bytes(32) + data[33:]))),
            ("ciphertext_changed", "unauthentic", "one bit of the ciphertext changed",
             inputs(encoded(flip(data, 40)))),
            ("tag_changed", "unauthentic", "one bit of the tag changed", inputs(encoded(flip(data, -1)))),
            ("token_of_another", "unauthentic", "a token for somebody else inside", inputs(wrong_inside)),
            ("version_2", "unsupported", "another version of the bytes", inputs(encoded(b"\x02" + data[1:]))),
            ("prefix_2", "unsupported", "another version of the text", inputs("amx2." + sealed[5:])),
            ("prefix", "malformed", "no prefix", inputs(sealed[5:])),
            ("prefix_of_public_key", "malformed", "a public key", inputs(tokens.public_text(public))),
            ("cut_short", "malformed", "49 bytes: nothing inside", inputs(encoded(data[:49]))),
            ("empty", "malformed", "no bytes", inputs("amx1.")),
            ("too_long", "limit", "1,024 bytes inside", inputs(encoded(data[:33] + bytes(1040)))),
            ("padding", "malformed", "a padding sign", inputs(sealed + "="))):
        put(files, "translation_refused_" + case, "translation", expect, "Refused: %s." % about, lines)


def make_receipts(files: Files) -> None:
    """Receipts of exports."""
    take = stream("receipt")
    secret = take(32)
    key = keys.new_key(secret, "token")
    one = dict(zip(receipt.TOKEN_MEMBERS, (
        "voter-roll", "pairwise", "matching", 1, key.id.hex(), "cnic", None)))
    two = dict(one, name="visit", kind="expiring", purpose="visits", expires="2027-01-01T00:00:00Z")
    document: Dict[str, object] = dict(zip(receipt.MEMBERS, (
        "amanat-receipt", 1, REGISTRY, AUDIENCE.recipient, TABLE, "2026-11-23T18:30:00Z",
        take(32).hex(), [one, two], ["district"], [], 3, 1, 412, take(32).hex(), key.id.hex(), "")))

    def close(members: Dict[str, object]) -> bytes:
        raw = encode_json(dict(members, mac=""))
        mac = receipt.make_mac(receipt.mac_key(secret, REGISTRY), receipt.covered(raw))
        return encode_json(dict(members, mac=b64(mac)))
    good = close(document)

    def inputs(state: str = "active", other: Optional[bytes] = None) -> List[Line]:
        return [("key", "%s %s" % (state, (other or secret).hex()))]
    for state in ("active", "deactivated"):
        put(files, "receipt_key_" + state, "receipt", "success", "A receipt under a key that is %s." % state,
            inputs(state) + [("secret", secret), ("key-id", key.id),
                             ("mac-key", receipt.mac_key(secret, REGISTRY))], good)
    changes: Sequence[Tuple[str, str, str, bytes, List[Line]]] = (
        ("rows_changed", "unauthentic", "the number of rows changed",
         good.replace(b'"rows": 3', b'"rows": 2'), inputs()),
        ("recipient_changed", "unauthentic", "the recipient changed", good.replace(b"tax-", b"tex-"), inputs()),
        ("mac_changed", "unauthentic", "the MAC changed", encode_json(dict(document, mac=b64(bytes(32)))), inputs()),
        ("key_unknown", "unknown-key", "a key that the keyring does not have", good, inputs(other=take(32))),
        ("key_suspended", "key-unusable", "a suspended key", good, inputs("suspended")),
        ("key_compromised", "key-unusable", "a compromised key: whoever has it can make receipts", good,
         inputs("compromised")),
        ("version_2", "unsupported", "version 2", close(dict(document, version=2)), inputs()),
        ("format", "malformed", "another format", close(dict(document, format="amanat-receipts")), inputs()),
        ("white_space", "malformed", "a space was added by hand",
         good.replace(b'"rows": 3', b'"rows":  3'), inputs()),
        ("last_line_end", "malformed", "the last line end is missing", good[:-1], inputs()),
        ("no_token", "malformed", "no token", close(dict(document, tokens=[])), inputs()),
        ("member_missing", "malformed", "a member is missing",
         close({name: item for name, item in document.items() if name != "rows"}), inputs()),
        ("member_more", "malformed", "an unknown member", close(dict(document, note="x")), inputs()),
        ("kind_unknown", "unsupported", "an unknown kind",
         close(dict(document, tokens=[dict(one, kind="plain")])), inputs()),
        ("epoch_0", "malformed", "epoch 0", close(dict(document, tokens=[dict(one, epoch=0)])), inputs()),
        ("rows_over_2_53", "malformed", "2^53 rows", close(dict(document, rows=1 << 53)), inputs()),
        ("time", "malformed", "an impossible time", close(dict(document, created="2026-02-30T00:00:00Z")), inputs()))
    for case, expect, about, raw, lines in changes:
        assert raw != good or case.startswith("key_"), case
        put(files, "receipt_refused_" + case, "receipt", expect, "Refused: %s." % about, lines, raw)


PARTS: Sequence[Callable[[Files], None]] = (
    make_normal, make_identifiers, make_index, make_tokens, make_token_texts, make_ff1,
    make_translations, make_receipts)
