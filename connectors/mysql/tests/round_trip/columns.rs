//! Columns of every type with the values at their edges.

/// How the server's text of a value becomes the canonical one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As it is.
    Plain,
    /// Without zeros at the end of its fraction.
    Fraction,
    /// The same, in UTC.
    Instant,
    /// Bytes, of which the server gave the hex digits.
    Bytes,
    /// A float: the same number.
    Single,
    /// The same of eight bytes.
    Double,
    /// A vector: the same numbers.
    Vector,
    /// Geometry: points in lists have parentheses of their own.
    Wkt,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) ty: &'static str,
    pub(crate) form: Form,
    /// As SQL.
    pub(crate) values: &'static [&'static str],
}

const fn column(name: &'static str, ty: &'static str, form: Form, values: &'static [&'static str]) -> Column {
    Column { name, ty, form, values }
}

use Form::{Bytes, Double, Fraction, Instant, Plain, Single, Vector, Wkt};

const TIMES: &[&str] = &["'-838:59:59'", "'838:59:59'", "'00:00:00'", "'-00:00:01'", "'12:34:56'"];
const FRACTIONS: &[&str] = &[
    "'-00:00:00.1234'",
    "'-838:59:58.5'",
    "'00:00:00.999999'",
    "'12:34:56.000001'",
    "'-12:00:00.999999'",
    "'01:00:00'",
];
const DATETIMES: &[&str] = &[
    "'1000-01-01 00:00:00'",
    "'9999-12-31 23:59:59'",
    "'0000-00-00 00:00:00'",
    "'2024-00-00 00:00:00'",
    "'2024-02-29 12:34:56.789012'",
    "'2024-02-31 01:02:03'",
];
const TIMESTAMPS: &[&str] =
    &["'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'", "'2000-02-29 12:34:56.789012'", "'2024-12-31 23:59:59.5'"];
const GEOMETRIES: &[&str] = &[
    "ST_GeomFromText('POINT(1 2)')",
    "ST_GeomFromText('POINT(-0.1 1e20)')",
    "ST_GeomFromText('LINESTRING(0 0,1 1,2.5 -3)')",
    "ST_GeomFromText('POLYGON((0 0,10 0,10 10,0 0),(1 1,2 1,2 2,1 1))')",
    "ST_GeomFromText('MULTIPOINT(1 2,3 4)')",
    "ST_GeomFromText('MULTILINESTRING((0 0,1 1),(2 2,3 3))')",
    "ST_GeomFromText('MULTIPOLYGON(((0 0,1 0,1 1,0 0)),((5 5,6 5,6 6,5 5)))')",
    "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))')",
    "ST_GeomFromText('GEOMETRYCOLLECTION EMPTY')",
];

/// Types of both servers.
pub(crate) const COMMON: &[Column] = &[
    column("ti", "tinyint", Plain, &["-128", "127", "0", "2"]),
    column("tu", "tinyint unsigned", Plain, &["0", "255"]),
    column("tb", "tinyint(1)", Plain, &["0", "1", "2"]),
    column("si", "smallint", Plain, &["-32768", "32767"]),
    column("su", "smallint unsigned", Plain, &["65535"]),
    column("mi", "mediumint", Plain, &["-8388608", "-1", "8388607"]),
    column("mu", "mediumint unsigned", Plain, &["16777215", "0"]),
    column("i", "int", Plain, &["-2147483648", "2147483647", "-1"]),
    column("iu", "int unsigned", Plain, &["4294967295"]),
    column("bi", "bigint", Plain, &["-9223372036854775808", "9223372036854775807"]),
    column("bu", "bigint unsigned", Plain, &["18446744073709551615"]),
    column(
        "d65",
        "decimal(65,30)",
        Plain,
        &[
            "'12345678901234567890123456789012345.123456789012345678901234567890'",
            "'-0.000000000000000000000000000001'",
            "0",
        ],
    ),
    column("d10", "decimal(10,2)", Plain, &["0", "-0.05", "99999999.99", "-99999999.99", "1000000"]),
    column("d5", "decimal(5,0)", Plain, &["-99999", "12"]),
    column("d4", "decimal(4,4)", Plain, &["0.0001", "-0.9999"]),
    column("du", "decimal(20,2) unsigned", Plain, &["12.5"]),
    column("fl", "float", Single, &["0", "1.5", "-3.402823e38", "1.17549e-38", "0.1", "1e6", "-123456"]),
    column(
        "db",
        "double",
        Double,
        &["0.1", "1.7976931348623157e308", "-1e15", "123456789012345680", "2.2250738585072014e-308"],
    ),
    column("yr", "year", Plain, &["1901", "2155", "0", "2024"]),
    column(
        "da",
        "date",
        Plain,
        &["'1000-01-01'", "'9999-12-31'", "'0000-00-00'", "'2024-02-00'", "'2024-00-00'", "'2024-02-31'"],
    ),
    column("t0", "time", Plain, TIMES),
    column("t1", "time(1)", Fraction, FRACTIONS),
    column("t2", "time(2)", Fraction, FRACTIONS),
    column("t3", "time(3)", Fraction, FRACTIONS),
    column("t4", "time(4)", Fraction, FRACTIONS),
    column("t5", "time(5)", Fraction, FRACTIONS),
    column("t6", "time(6)", Fraction, FRACTIONS),
    column("dt0", "datetime", Plain, DATETIMES),
    column("dt1", "datetime(1)", Fraction, DATETIMES),
    column("dt2", "datetime(2)", Fraction, DATETIMES),
    column("dt3", "datetime(3)", Fraction, DATETIMES),
    column("dt4", "datetime(4)", Fraction, DATETIMES),
    column("dt5", "datetime(5)", Fraction, DATETIMES),
    column("dt6", "datetime(6)", Fraction, DATETIMES),
    column(
        "ts0",
        "timestamp null",
        Instant,
        &["'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'", "'0000-00-00 00:00:00'", "'2024-02-29 12:34:56'"],
    ),
    column("ts1", "timestamp(1) null", Instant, TIMESTAMPS),
    column("ts2", "timestamp(2) null", Instant, TIMESTAMPS),
    column("ts3", "timestamp(3) null", Instant, TIMESTAMPS),
    column("ts4", "timestamp(4) null", Instant, TIMESTAMPS),
    column("ts5", "timestamp(5) null", Instant, TIMESTAMPS),
    column("ts6", "timestamp(6) null", Instant, TIMESTAMPS),
    column("vc", "varchar(300) character set utf8mb4", Plain, &["''", "'abc '", "'😀é'", "'tab\\tline\\nslash\\\\'"]),
    column("vs", "varchar(10) character set utf8mb4", Plain, &["''", "'é'"]),
    column("ch", "char(10) character set utf8mb4", Plain, &["'ab'", "'ab  '", "''", "'😀'"]),
    column("cl", "char(200) character set utf8mb4", Plain, &["'ab'", "repeat('é', 200)"]),
    column("u3", "varchar(20) character set utf8mb3", Plain, &["'é€'"]),
    column("l1", "varchar(20) character set latin1", Plain, &["'café€'", "'Ÿ'"]),
    column("l2", "varchar(20) character set latin2", Plain, &["'ąęł'"]),
    column("l5", "varchar(20) character set latin5", Plain, &["'ğış'"]),
    column("l7", "varchar(20) character set latin7", Plain, &["'ąčę'"]),
    column("c850", "varchar(20) character set cp850", Plain, &["'øÇ'"]),
    column("c852", "varchar(20) character set cp852", Plain, &["'ął'"]),
    column("c866", "varchar(20) character set cp866", Plain, &["'Привет'"]),
    column("c1250", "varchar(20) character set cp1250", Plain, &["'ął€'"]),
    column("c1251", "varchar(20) character set cp1251", Plain, &["'Привет'"]),
    column("c1256", "varchar(20) character set cp1256", Plain, &["'سلام'"]),
    column("c1257", "varchar(20) character set cp1257", Plain, &["'ąčę'"]),
    column("ko", "varchar(20) character set koi8r", Plain, &["'Привет'"]),
    column("ku", "varchar(20) character set koi8u", Plain, &["'їґ'"]),
    column("gr", "varchar(20) character set greek", Plain, &["'αβγ'"]),
    column("he", "varchar(20) character set hebrew", Plain, &["'שלום'"]),
    column("th", "varchar(20) character set tis620", Plain, &["'กข'"]),
    column("gbk", "varchar(20) character set gbk", Plain, &["'你好'"]),
    column("gb", "varchar(20) character set gb2312", Plain, &["'你好'"]),
    column("b5", "varchar(20) character set big5", Plain, &["'你好'"]),
    column("sj", "varchar(20) character set sjis", Plain, &["'あ〜ア'"]),
    column("c932", "varchar(20) character set cp932", Plain, &["'あ～①'"]),
    column("uj", "varchar(20) character set ujis", Plain, &["'あ〜'"]),
    column("ej", "varchar(20) character set eucjpms", Plain, &["'あ～'"]),
    column("kr", "varchar(20) character set euckr", Plain, &["'안녕'"]),
    column("uc", "varchar(20) character set ucs2", Plain, &["'aé€'", "''"]),
    column("uch", "char(5) character set ucs2", Plain, &["'ab'"]),
    column("u16", "varchar(20) character set utf16", Plain, &["'a😀'"]),
    column("u16l", "varchar(20) character set utf16le", Plain, &["'a😀'"]),
    column("u32", "char(5) character set utf32", Plain, &["'a😀'"]),
    column("mac", "varchar(20) character set macroman", Plain, &["'é€'"]),
    column("sw", "varchar(20) character set swe7", Plain, &["'ÅÄÖ'"]),
    column("xt", "tinytext character set utf8mb4", Plain, &["'tiny'", "''"]),
    column("xx", "text character set latin1", Plain, &["'é'", "repeat('x', 1000)"]),
    column("xm", "mediumtext character set utf8mb4", Plain, &["repeat('y', 300)", "'m'"]),
    column("xl", "longtext character set utf8mb4", Plain, &["'long'"]),
    column("bn", "binary(4)", Bytes, &["x'01000000'", "x''", "x'00ff'", "x'20202020'"]),
    column("bn2", "binary(200)", Bytes, &["x'01'", "x''"]),
    column("vb", "varbinary(300)", Bytes, &["x'00ff00'", "x''", "'a  '"]),
    column("bt", "tinyblob", Bytes, &["x'00'"]),
    column("bb", "blob", Bytes, &["x'ff00'"]),
    column("bl", "longblob", Bytes, &["x'0102'"]),
    column(
        "en",
        "enum('a','it''s','ü','x,y') character set utf8mb4",
        Plain,
        &["'ü'", "'it''s'", "'none of them'", "'x,y'"],
    ),
    column("el", "enum('é','a') character set latin1", Plain, &["'é'"]),
    column("st", "set('x','y','ż') character set utf8mb4", Plain, &["''", "'x,ż'", "'y'"]),
    column("b1", "bit(1)", Plain, &["b'1'", "b'0'"]),
    column("b10", "bit(10)", Plain, &["b'1000000001'", "b'0'"]),
    column("b64", "bit(64)", Plain, &["0xffffffffffffffff", "1"]),
    column("ge", "geometry", Wkt, GEOMETRIES),
    column("pt", "point", Wkt, &["ST_GeomFromText('POINT(3 4)')"]),
];

/// Types of MariaDB alone.
pub(crate) const MARIADB: &[Column] = &[
    column("gs", "geometry", Wkt, &["ST_GeomFromText('POINT(-0.1 51.5)', 4326)"]),
    column("js", "json", Plain, &["'{\"a\": [1, 2.50, null]}'", "'[]'"]),
    column(
        "uu",
        "uuid",
        Plain,
        &[
            "'123e4567-e89b-12d3-a456-426655440000'",
            "'f81d4fae-7dec-41d0-a765-00a0c91e6bf6'",
            "'01890a5d-ac96-774b-bcce-b302099a8057'",
            "'00000000-0000-0000-0000-000000000000'",
            "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
            "'f81d4fae-7dec-11d0-2765-00a0c91e6bf6'",
            "'f81d4fae-7dec-61d0-a765-00a0c91e6b00'",
        ],
    ),
    column("i4", "inet4", Plain, &["'10.0.0.1'", "'0.0.0.0'", "'255.255.255.255'"]),
    column(
        "i6",
        "inet6",
        Plain,
        &[
            "'2001:db8::1'",
            "'::'",
            "'::1'",
            "'::ffff:1.2.3.4'",
            "'::1.2.3.4'",
            "'fe80::'",
            "'2001:db8:0:1:1:1:1:1'",
            "'2001:0:0:1:0:0:0:1'",
            "'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'",
        ],
    ),
    column("cv", "varchar(100) compressed character set utf8mb4", Plain, &["repeat('é', 100)", "'short'", "''"]),
    column("cc", "text compressed character set latin1", Plain, &["repeat('ab', 500)", "'é'"]),
    column("cb", "blob compressed", Bytes, &["repeat(x'00', 500)", "x''"]),
];

/// Types of MySQL alone.
pub(crate) const MYSQL: &[Column] = &[
    column(
        "js",
        "json",
        Plain,
        &[
            "'{\"a\": [1, 2.50, null, true, \"x\\\\\"y\\\\n\"], \"bb\": {}, \"c\": []}'",
            "json_array(1e0, 1e15, 1e17, 1e-10, -0e0, 12345.678e0, 1.7976931348623157e308, 5e-324, 18446744073709551615, -9223372036854775808, 70000, -70000, 40000, -3)",
            "json_array(cast('2024-01-02' as date), cast('-10:00:00.5' as time(1)), timestamp('2024-01-02 03:04:05.123456'), cast(-1.50 as decimal(10,2)), x'00ff', cast(2024 as year))",
            "json_array(unhex(repeat('ab', 100)), repeat('long', 200), json_object('k', json_array(json_array(1))))",
            "json_array(repeat('z', 66000), 1, 70000, json_object('x', 1, 'yy', 'z'))",
            "cast('null' as json)",
            "cast('\"\\\\u0001é\"' as json)",
        ],
    ),
    column("ve", "vector(3)", Vector, &["to_vector('[1,-2.5,1e-7]')"]),
    column("gk", "varchar(20) character set gb18030", Plain, &["'你好€'"]),
];

/// How the server is asked for a column.
pub(crate) fn selected(column: &Column) -> String {
    let name = column.name;
    match column.form {
        Form::Plain if column.ty.starts_with("bit(") => {
            let bits = column.ty.trim_start_matches("bit(").trim_end_matches(')');
            format!("lpad(bin({name} + 0), {bits}, '0')")
        }
        Form::Plain | Form::Fraction | Form::Instant | Form::Double => name.to_owned(),
        Form::Single => format!("cast({name} as double)"),
        Form::Bytes => format!("hex({name})"),
        Form::Vector => format!("vector_to_string({name})"),
        Form::Wkt => format!("ST_AsText({name})"),
    }
}

/// What the cell is to be where the server answers `text`.
pub(crate) fn canonical(column: &Column, text: &str) -> String {
    let trimmed = || match text.split_once('.') {
        Some(_) => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        None => text.to_owned(),
    };
    match column.form {
        Form::Plain | Form::Single | Form::Double | Form::Vector => text.to_owned(),
        Form::Fraction => trimmed(),
        Form::Instant if text.starts_with("0000") => trimmed(),
        Form::Instant => format!("{}+00", trimmed()),
        Form::Bytes => format!("\\x{}", text.to_lowercase()),
        Form::Wkt => match text.strip_prefix("MULTIPOINT(").and_then(|rest| rest.strip_suffix(')')) {
            Some(points) if !points.starts_with('(') => {
                let points: Vec<_> = points.split(',').map(|point| format!("({point})")).collect();
                format!("MULTIPOINT({})", points.join(","))
            }
            _ => text.to_owned(),
        },
    }
}

/// Whether the cell is what the server answered.
pub(crate) fn is_same(column: &Column, cell: &str, text: &str) -> bool {
    match column.form {
        Form::Single => cell.parse::<f32>().ok() == text.parse::<f64>().ok().map(|n| n as f32),
        Form::Double => cell.parse::<f64>().ok() == text.parse::<f64>().ok(),
        Form::Vector => numbers(cell) == numbers(text),
        _ => cell == canonical(column, text),
    }
}

fn numbers(vector: &str) -> Vec<Option<f32>> {
    vector.trim_matches(['[', ']']).split(',').map(|number| number.parse().ok()).collect()
}
