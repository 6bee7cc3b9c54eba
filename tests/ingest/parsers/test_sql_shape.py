"""Literals of every dialect stay out of a statement's shape."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.parsers.sql_features import describe, features
from ingest.parsers.sql_shape import Dialect, literal_free

DIALECTS: tuple[Dialect, ...] = ("mysql", "oracle", "postgres", "tsql")


@pytest.mark.parametrize(
    ("dialect", "sql"),
    [
        ("oracle", "select * from p where n = q'[it's secret]' and c = 'C:\\' and d = 'secret'"),
        ("oracle", "select * from p where n = Nq'!secret's!' and d = q'{secret}}'"),
        ("oracle", 'select * from p where n = "secret"'),
        ("oracle", "select 1 from p --secret"),
        ("postgres", "select * from p where n = E'x\\'secret' and c = 'C:\\' and d = 'secret'"),
        ("postgres", "select * from p where n = $$secret's$$ and d = $tag$ secret $$ secret $tag$"),
        ("postgres", "select /* outer /* inner */ secret */ 1"),
        ("tsql", "select * from p where n = N'secret''s' and c = 'C:\\' and d = 'secret' --secret"),
        ("tsql", "select /* outer /* inner */ secret */ 1"),
        ("tsql", 'select * from p where n = "secret"'),
    ],
)
def test_a_literal_of_the_dialect_leaves_nothing(dialect: Dialect, sql: str) -> None:
    doc: dict[str, object] = {}
    describe(doc, sql, dialect)
    assert "secret" not in str(doc)


@pytest.mark.parametrize(
    ("dialect", "sql"),
    [
        ("oracle", 'select t."DRUG", sum("T"."QTY") from "HIS"."DRUG_PRESC_DETAIL" t group by t."DRUG"'),
        ("postgres", 'select t."drug", sum(t.qty) from "drug_presc_detail" t where d > $1 group by t."drug"'),
        ("tsql", "select top 100 [drug], sum(qty) from [dbo].[drug_presc_detail] group by [drug]"),
    ],
)
def test_quoted_names_are_names(dialect: Dialect, sql: str) -> None:
    found = features(literal_free(sql, dialect), dialect)
    assert (found.objects, found.group_by) == (("drug_presc_detail",), ("drug",))
    assert found.objects_role == ("prescription",)


def test_copying_a_table_out_of_postgresql_is_an_export() -> None:
    assert features(literal_free("COPY patient TO '/tmp/x.csv' CSV", "postgres"), "postgres").is_export
    assert not features(literal_free("COPY patient FROM '/tmp/x.csv'", "postgres"), "postgres").is_export


@given(st.sampled_from(DIALECTS), st.text(alphabet="ab'\"\\$q[]{}()/*-# \n.`N", max_size=60))
def test_every_text_has_a_shape_that_is_its_own(dialect: Dialect, sql: str) -> None:
    shape = literal_free(sql, dialect)
    assert literal_free(shape, dialect) == shape
