"""Advised flags go into a shell as they stand, whatever a column is called."""

import shlex

import pytest

from datafiles.flag_words import column_flag, columns_flag
from datafiles.items import check_items
from domain.errors import ItemFileError


@pytest.mark.parametrize("name", ["price", "hello world", "Preis (€)", "it's", '$HOME "x"'])
def test_a_shell_reads_the_flag_as_two_words(name):
    assert shlex.split(column_flag(name, "number")) == ["--column", f"{name}:number"]
    assert shlex.split(columns_flag("id", name)) == ["--columns", f"id={name}"]


def test_plain_names_stay_without_quotes():
    assert column_flag("price", "number") == "--column price:number"


def test_messages_about_files_advise_such_flags(tmp_path):
    path = tmp_path / "items.csv"
    path.write_text("hello world,title\n1,tea\n")
    with pytest.raises(ItemFileError, match=r"for example --columns 'id=hello world'$"):
        check_items(path)
    path.write_text("id,title,net weight\n1,a,5\n2,b,6\n3,c,7\n4,d,8\n5,e,none yet\n")
    assert any("; --column 'net weight:string' is silent" in note for note in check_items(path).notes)
