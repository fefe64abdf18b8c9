"""Item files as shops write them: numbers in dress, codes, missing values, spaces, names, delimiters, line ends."""

import gzip
import json

import pytest

from datafiles.items import check_items, read_items
from datafiles.options import file_options
from domain.errors import ConfigurationError, ItemFileError
from domain.item import AttributeType


def written(folder, content, name="items.csv"):
    path = folder / name
    data = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def column(folder, *cells, name="price", types=(), missing=()):
    """A column of a CSV file: its type, its values and what is said about it."""
    rows = "".join(f'{place},Thing {place},"{cell}"\n' for place, cell in enumerate(cells, start=1))
    catalogue = read_items(written(folder, f"id,title,{name}\n{rows}"), file_options(types=types, missing=missing))
    return (
        catalogue.attribute_types.get(name),
        [item.attributes.get(name) for item in catalogue.items],
        "\n".join(catalogue.notes),
    )


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (("1.5", "2", ""), [1.5, 2, None]),
        (("1.5", "—", "n/a", "NaN", "-", "NULL"), [1.5, None, None, None, None, None]),
        (("1,299.00", "5"), [1299, 5]),
        (("1,299", "12,000,000"), [1299, 12_000_000]),
        (("$5", "$1,299.50", "7"), [5, 1299.5, 7]),
        (("5 €", "1.299,00 €", "4,50 €"), [5, 1299, 4.5]),
        (("4,5", "4,25", "10"), [4.5, 4.25, 10]),
        (("4,5", "1,299"), [4.5, 1.299]),
        (("1.299", "1.299,00"), [1299, 1299]),
        (("1 299,00", "12\u00a0999,5", "1\u202f299"), [1299, 12999.5, 1299]),
        (("1'299.50", "3"), [1299.5, 3]),
        (("+5", "-3"), [5, -3]),
        (("\u22125", "\u22126.50", "7"), [-5, -6.5, 7]),
        (("1.5e-05", "2E+3"), [1.5e-05, 2000]),
        (("12,-", "5,-"), [12, 5]),
        (("1.299 €", "12,90 €", "5 €"), [1299, 12.9, 5]),
    ],
)
def test_numbers_are_read_as_people_write_them(tmp_path, cells, values):
    kind, found, notes = column(tmp_path, *cells)
    assert (kind, found) == (AttributeType.NUMBER, values)
    dressed = [
        cell for cell in cells if not cell.replace(".", "").replace("-", "").isdigit() and "e" not in cell.lower()
    ]
    assert not any(dressed) or "line " in notes


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (("1.5", "2", "ask us", "3"), '3 of 4 cells are numbers, but not line 4 ("ask us")'),
        (("$5", "€5", "3"), 'not written alike: line 2 ("$5"), line 3 ("€5")'),
        (("4,50", "1,299.00", "3"), "not written alike"),
        (("4,5", "4.5"), "not written alike"),
        (("1.5", "5 kg", "6 kg 200", "7"), 'line 3 ("5 kg")'),
        (("5 kg", "7 kg", "heavy"), '2 of 3 cells are numbers with something beside them: line 2 ("5 kg"), line 3'),
        (("50%", "7.5 %"), '2 of 2 cells are numbers with something beside them: line 2 ("50%")'),
        (("(6.00)", "12", "13"), '2 of 3 cells are numbers, but not line 2 ("(6.00)")'),
    ],
)
def test_a_column_that_is_nearly_numbers_names_the_lines(tmp_path, cells, said):
    kind, values, notes = column(tmp_path, *cells)
    assert (kind, values) == (AttributeType.STRING, list(cells))
    assert said in notes


def test_a_column_of_text_is_not_told_of(tmp_path):
    assert column(tmp_path, "red", "blue", "7")[2] == ""
    assert column(tmp_path, "A4", "38B", "red", "12 monkeys")[2] == ""


@pytest.mark.parametrize(
    ("cells", "values"),
    [(("5 kg", "7.5 KG", "2"), [5, 7.5, 2]), (("50%", "1,299 %"), [50, 1299]), (("(6.00)", "12"), [-6, 12])],
)
def test_numbers_with_something_beside_them_are_read_on_request(tmp_path, cells, values):
    kind, found, notes = column(tmp_path, *cells, types=["price:number"])
    assert (kind, found) == (AttributeType.NUMBER, values)
    assert f'such as "{cells[0]}" (line 2) the number alone was read' in notes


def test_numbers_of_several_units_are_refused_with_the_lines_of_both(tmp_path):
    with pytest.raises(ItemFileError, match=r'several units: "5 kg" on line 2, "700 g" on line 3'):
        column(tmp_path, "5 kg", "700 g", types=["price:number"])


def lines(folder, *values):
    rows = "".join(
        json.dumps({"id": f"{n}", "title": "Thing", "weight": value}) + "\n" for n, value in enumerate(values)
    )
    return read_items(written(folder, rows, "items.jsonl"), file_options(types=["weight:number"]))


def test_texts_of_json_are_read_as_numbers_as_cells_are(tmp_path):
    catalogue = lines(tmp_path, "5 kg", "7.5 KG", 2, "-", "1,299.5")
    assert [item.attributes.get("weight") for item in catalogue.items[:4]] == [5, 7.5, 2, None]
    assert catalogue.items[4].attributes["weight"] == 1299.5
    notes = "\n".join(catalogue.notes)
    assert 'such as "5 kg" (line 1) the number alone was read' in notes
    assert 'weight: 1 texts have no number but line 4 ("-")' in notes


def test_texts_of_json_with_several_units_are_refused(tmp_path):
    with pytest.raises(ItemFileError, match=r'several units: "5 kg" on line 1, "700 g" on line 2'):
        lines(tmp_path, "5 kg", "700 g")
    with pytest.raises(ItemFileError, match="must be a number"):
        lines(tmp_path, "5 kg", "heavy")


def test_what_a_point_is_in_a_column_of_decimal_commas_is_said(tmp_path):
    kind, found, notes = column(tmp_path, "1.299", "1.299,50", "3,5")
    assert (kind, found) == (AttributeType.NUMBER, [1299, 1299.5, 3.5])
    assert 'a point separates thousands, since a comma is the decimal point in "1.299,50" (line 3): 1 cells' in notes
    assert 'such as "1.299" (line 2) were read so, this one as 1299;' in notes
    assert "separates thousands" not in column(tmp_path, "1.299", "3.5")[2]


def test_a_number_that_is_insisted_on_refuses_what_is_none_by_line_and_says_how_to_go_on(tmp_path):
    with pytest.raises(ItemFileError, match=r'line 3: "price" must be a number .*found "ask us".*--missing "ask us"'):
        column(tmp_path, "1.5", "ask us", types=["price:number"])
    kind, values, _ = column(tmp_path, "1.5", "ask us", types=["price:number"], missing=["ask us"])
    assert (kind, values) == (AttributeType.NUMBER, [1.5, None])
    kind, values, _ = column(tmp_path, "007", "4E2", types=["price:number"])
    assert (kind, values) == (AttributeType.NUMBER, [7, 400])


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("sku", ("4E10", "12E5", "7e2")),
        ("model", ("4E10", "12")),
        ("zip", ("00501", "10001")),
        ("key", ("12345678901234567", "1")),
        ("ean", ("4006381333931", "4006381333948")),
        ("tmdbId", ("862", "863")),
        ("sku", ("12", "13")),
    ],
)
def test_codes_stay_as_they_were_written(tmp_path, name, cells):
    kind, values, notes = column(tmp_path, *cells, name=name)
    assert (kind, values) == (AttributeType.STRING, list(cells))
    assert f"{name} is text" in notes and f"--column {name}:number" in notes


def test_a_type_that_is_asked_for_is_taken(tmp_path):
    assert column(tmp_path, "12", "13", types=["price:string"])[:2] == (AttributeType.STRING, ["12", "13"])
    assert column(tmp_path, "12", "13", name="sku", types=["sku:number"])[:2] == (AttributeType.NUMBER, [12, 13])
    assert column(tmp_path, "a|b", "c", types=["price:list"])[1] == [("a", "b"), ("c",)]
    assert column(tmp_path, "yes", "no", types=["price:boolean"])[1] == [True, False]


def test_words_for_truth_are_the_same_in_csv_and_json(tmp_path):
    words = {"true": True, "Y": True, "t": True, "1": True, "No": False, "f": False, "0.0": False}
    rows = [{"id": place, "title": "a", "vegan": word} for place, word in enumerate(words)]
    path = written(tmp_path, "".join(json.dumps(row) + "\n" for row in rows), "items.jsonl")
    found = read_items(path, file_options(types=["vegan:boolean"]))
    assert [item.attributes["vegan"] for item in found.items] == list(words.values())
    assert column(tmp_path, *words, types=["price:boolean"])[1] == list(words.values())


def test_whole_numbers_too_long_for_a_number_are_text_in_json_too(tmp_path):
    rows = [{"id": 1, "title": "a", "key": 12345678901234567}, {"id": 2, "title": "b", "key": 5}]
    catalogue = read_items(written(tmp_path, "".join(json.dumps(row) + "\n" for row in rows), "items.jsonl"))
    assert catalogue.attribute_types == {"key": AttributeType.STRING}
    assert [item.attributes["key"] for item in catalogue.items] == ["12345678901234567", "5"]
    assert "key is text: 12345678901234567 (line 1)" in catalogue.notes[0]


def test_a_column_of_two_types_in_json_is_read_as_it_was_asked_for(tmp_path):
    rows = [{"id": 1, "title": "a", "size": 40}, {"id": 2, "title": "b", "size": "XL"}]
    path = written(tmp_path, "".join(json.dumps(row) + "\n" for row in rows), "items.jsonl")
    with pytest.raises(ItemFileError, match="--column size:string"):
        read_items(path)
    items = read_items(path, file_options(types=["size:string"])).items
    assert [item.attributes["size"] for item in items] == ["40", "XL"]


@pytest.mark.parametrize("space", [" ", "\u00a0", "\u3000", "\u200b", "\ufeff", "\t"])
def test_spaces_around_cells_are_removed_and_counted(tmp_path, space):
    text = f"id,title,brand,tags[]\n1,{space}Green lamp,{space}Acme{space},a | {space}b\n2,Oak chair,Bolt,\n"
    catalogue = read_items(written(tmp_path, text))
    assert (catalogue.items[0].title, catalogue.items[0].attributes["brand"]) == ("Green lamp", "Acme")
    assert "spaces around 2 cells were removed (title, brand; the first on line 2)" in catalogue.notes
    row = {"id": f"{space}1", "title": "Lamp", "brand": f"Acme{space}", "tags": [f"{space}a"]}
    (item,) = read_items(written(tmp_path, json.dumps(row), "items.jsonl")).items
    assert (item.id, item.attributes["brand"], item.attributes["tags"]) == ("1", "Acme", ("a",))


@pytest.mark.parametrize("word", ["NaN", "nan", "NULL", "None", "<NA>", "N/A", "#N/A", "NA"])
def test_a_word_for_a_missing_value_is_no_id(tmp_path, word):
    path = written(tmp_path, f"id,title\n1,Lamp\n{word},Chair\n")
    with pytest.raises(ItemFileError, match=f'line 3: "id" is {word}, a word for a missing value.*--missing {word}'):
        check_items(path)
    file = check_items(path, options=file_options(missing=[word]))
    assert file.ids() == ["1"]
    assert any("1 rows have no id and were left out" in note for note in file.notes)
    assert check_items(path, options=file_options(types=["id:string"])).ids() == ["1", word]


def test_a_word_for_a_missing_value_in_text_is_told_of_and_emptied_on_request(tmp_path):
    path = written(tmp_path, "id,title,brand\n1,Lamp,NaN\n2,Chair,Bolt\n")
    assert any(note.startswith("brand: 1 cells say NaN") for note in check_items(path).notes)
    items = read_items(path, file_options(missing=["NaN"])).items
    assert [item.attributes.get("brand") for item in items] == [None, "Bolt"]


def test_7_and_7_0_are_one_id_in_every_kind_of_file(tmp_path):
    for name, content in (
        ("a.csv", "id,title\n7.0,Lamp\n8,Chair\n"),
        ("a.jsonl", '{"id": 7.0, "title": "Lamp"}\n{"id": "8.0", "title": "Chair"}\n'),
    ):
        file = check_items(written(tmp_path, content, name))
        assert file.ids() == ["7", "8"]
        assert any("end with .0 and were read as whole numbers" in note for note in file.notes)
    both = written(tmp_path, "id,title\n7,Lamp\n7.0,Chair\n")
    with pytest.raises(ItemFileError, match=r'line 3: id "7" stands on line 2 already \(written 7.0; --column id:'):
        check_items(both)
    assert check_items(both, options=file_options(types=["id:string"])).ids() == ["7", "7.0"]


@pytest.mark.parametrize("header", ["asin,name,description", "movieId,title,overview", "Product ID,Product Name,Body"])
def test_usual_names_are_recognised_and_said(tmp_path, header):
    file = check_items(written(tmp_path, f"{header}\nB01,Lamp,It is green.\n"))
    (item,) = file.items()
    assert (item.id, item.title, item.text) == ("B01", "Lamp", "It is green.")
    assert file.notes[0].startswith(f"columns: {header.split(',')[0]} as id")


def test_own_names_win_over_usual_ones_and_given_ones_over_both(tmp_path):
    path = written(tmp_path, "id,sku,title,name,description,text\n1,s,T,N,D,X\n")
    (item,) = read_items(path).items
    assert (item.id, item.title, item.text) == ("1", "T", "X")
    assert item.attributes == {"sku": "s", "name": "N", "description": "D"}
    (item,) = read_items(path, file_options(columns=["item_id=sku,title=name"])).items
    assert (item.id, item.title, item.attributes["title_in_file"], item.attributes["id_in_file"]) == (
        "s",
        "N",
        "T",
        "1",
    )
    with pytest.raises(ItemFileError, match='the file has no column "nothing"; found: id, sku'):
        read_items(path, file_options(columns=["title=nothing"]))


def test_a_file_without_a_header_is_named_by_places(tmp_path):
    path = written(tmp_path, "1\tLamp\t3\n2\tChair\t4\n", "items.tsv")
    with pytest.raises(ItemFileError, match=r"the first line looks like a record.*--columns id=1,title=2"):
        read_items(path)
    catalogue = read_items(path, file_options(columns=["id=1,title=2"]))
    assert [(item.id, item.title, item.attributes["column_3"]) for item in catalogue.items] == [
        ("1", "Lamp", 3),
        ("2", "Chair", 4),
    ]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_the_delimiter_is_told_by_the_header(tmp_path, delimiter):
    path = written(tmp_path, f"id{delimiter}title\n1{delimiter}Lamp, green\n")
    catalogue = read_items(path)
    assert catalogue.items[0].title == "Lamp, green"
    assert "--delimiter overrules" in catalogue.notes[0]


def test_types_in_names_of_item_files_of_benchmarks_are_understood(tmp_path):
    path = written(tmp_path, 'item_id:token\ttitle:token_seq\tyear:token\n7\tThe "Lamp\t1999\n', "ml.item")
    (item,) = read_items(path).items
    assert (item.id, item.title, item.attributes) == ("7", 'The "Lamp', {"year": "1999"})


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_every_kind_of_line_end_is_read(tmp_path, end):
    text = end.join(["id,title,price", "1,Lamp,3", '2,"Oak chair",4', ""])
    assert [item.title for item in read_items(written(tmp_path, text)).items] == ["Lamp", "Oak chair"]
    rows = end.join(['{"id": 1, "title": "Lamp"}', '{"id": 2, "title": "Chair"}'])
    assert len(read_items(written(tmp_path, rows, "items.jsonl")).items) == 2


def test_mixed_line_ends_and_quotes_are_refused_in_words(tmp_path):
    with pytest.raises(ItemFileError, match=r"line 2: broken CSV: a carriage return .CR. stands inside a line"):
        read_items(written(tmp_path, "id,title\n1,La\rmp\n"))
    with pytest.raises(ItemFileError, match="line 3: broken CSV: a quotation mark that opens a cell is never closed"):
        read_items(written(tmp_path, 'id,title\n1,a\n2,"b\n3,c\n4,d\n'))
    with pytest.raises(ItemFileError, match="line 1: not valid UTF-8, it is UTF-16"):
        read_items(written(tmp_path, "id,title\n1,a\n".encode("utf-16")))


ROWS = [{"id": "1", "title": 'a "[{' + "}"}, {"id": "2", "title": "b", "tags": ["x", "y"]}]


@pytest.mark.parametrize("name", ["items.json", "items.jsonl", "items.json.gz"])
@pytest.mark.parametrize(
    "text",
    [
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2),
        "\n".join(json.dumps(row, indent=4) for row in ROWS),
        "[\n" + ",\n".join(json.dumps(row) for row in ROWS) + "\n]\n",
        "\n".join(json.dumps(row) for row in ROWS),
        "[" + json.dumps(ROWS[0]) + "\n," + json.dumps(ROWS[1]) + "]",
    ],
)
def test_json_is_read_however_it_is_spread(tmp_path, name, text):
    assert [item.title for item in read_items(written(tmp_path, text, name)).items] == ['a "[{}', "b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"id": 1, "title": "a"},\n {"id": 2, "title": }]', "line 2: broken JSON: Expecting value"),
        ('[{"id": 1, "title": "a"},\n', "line 1: broken JSON: the array is never closed"),
        ('{\n "id": 1,\n "title": "a"\n', "line 3: broken JSON"),
        ('[\n{"id": 1, "title": "a"}\n]\n{"id": 2, "title": "a"}', "line 4: expected one JSON object a line"),
        ("[1, 2]", "line 1: expected one JSON object a line, or an array of objects, found 1, 2"),
        ('[["a"]]', "line 1: expected one JSON object a line, or an array of objects"),
        ('"a"', "line 1: expected one JSON object a line"),
        ('{\n"id": 1,\n"title": "a",\n"title": "b"\n}', "line 1: broken JSON: a key stands twice"),
    ],
)
def test_broken_json_is_named_by_line(tmp_path, text, message):
    with pytest.raises(ItemFileError, match=message):
        read_items(written(tmp_path, text, "items.json"))


@pytest.mark.parametrize("title", ["\u200b", "\u3164\u3164", "\u2800", "\ufe0f", "\u00ad\u200d", "\u0301"])
def test_a_title_of_characters_that_nobody_sees_is_none(tmp_path, title):
    with pytest.raises(ItemFileError, match='line 3: item "2" has neither title nor text'):
        read_items(written(tmp_path, f"id,title\n1,Lamp\n2,{title}\n"))
    row = {"id": "2", "title": title, "text": "Seen."}
    (item,) = read_items(written(tmp_path, json.dumps(row), "items.jsonl")).items
    assert (item.title, item.text) == ("", "Seen.")


def test_nothing_available_is_told_of(tmp_path):
    file = check_items(written(tmp_path, "id,title,available\n1,a,0\n2,b,no\n"))
    assert "no item is available" in file.notes[-1]


def test_long_texts_are_told_by_the_encoder_and_the_choice_is_said(tmp_path):
    rows = [
        {
            "id": str(n),
            "title": f"Film {n}",
            "genre": "drama",
            "plot_summary": "A sailor comes home after thirty years and finds nobody there",
            "features": ["It has a long and quiet opening scene", "Black and white"],
            "code": f"x{n}",
            "poster": "https://example.org/a very long path of words that is a link",
        }
        for n in range(20)
    ]
    file = check_items(written(tmp_path, json.dumps(rows), "items.json"))
    assert file.text_attributes == ("genre", "plot_summary", "features")
    assert file.text_parts == "title + genre + plot_summary (10 words) + features (7 words)"
    assert file.text_count == 0


def test_options_of_a_wrong_form_are_refused():
    for given, message in (
        ({"columns": ["title"]}, "expected STANDARD=NAME"),
        ({"columns": ["a=b,a=c"]}, "names a twice"),
        ({"types": ["sku"]}, "expected NAME:TYPE"),
        ({"types": ["sku:date"]}, "a type of string, number"),
        ({"delimiter": "::"}, "give one character"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            file_options(**given)


def test_a_file_that_is_not_text_is_said_to_be_none(tmp_path):
    with pytest.raises(ItemFileError, match="not a text file, there are NUL bytes in it"):
        check_items(written(tmp_path, b"\x00\x01\x02binary\x00"))


def test_a_header_line_alone_is_said_to_be_one(tmp_path):
    with pytest.raises(ItemFileError, match="no items; the file is empty or a header line alone"):
        check_items(written(tmp_path, "id,title\n"))
