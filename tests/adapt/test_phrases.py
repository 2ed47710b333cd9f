"""What captions name."""

from detail_embed.adapt.phrases import phrases


def test_runs_between_small_words_and_punctuation_are_things():
    captions = ["A photo of a red helmet, a dog and two trees.", "The red helmet lies "
                "on the grass", "", "dog"]
    assert phrases(captions) == {
        "dog": [0, 3], "red helmet": [0], "trees": [0], "red helmet lies": [1],
        "grass": [1],
    }


def test_two_things_that_always_stand_around_a_small_word_are_one():
    captions = ["a hammer and pick, a dog", "a hammer and pick", "a dog and a cat",
                "a cat and a dog"]
    assert phrases(captions) == {"dog": [0, 2, 3], "cat": [2, 3],
                                 "hammer and pick": [0, 1]}


def test_things_that_stand_alone_as_well_are_two():
    captions = ["salt and pepper", "salt and pepper", "salt", "pepper", "salt"]
    assert phrases(captions) == {"salt": [0, 1, 2, 4], "pepper": [0, 1, 3]}


def test_numbers_and_very_long_runs_are_no_things():
    assert phrases(["12 dogs", "7", "one two big old red brick houses"]) == {
        "12 dogs": [0]
    }


def test_other_scripts_and_hyphens_are_read():
    assert phrases(["Ein Läufer-Schuh", "собака"]) == {
        "ein läufer-schuh": [0], "собака": [1]
    }
