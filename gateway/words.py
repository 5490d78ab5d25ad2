"""What a person is told about his files and his machine, every sentence in Chinese and English. Pure.

A code is stable and never translated; its texts may be improved at any time. Over 400 lines: it is one table.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, TypeAlias

from gateway.details import spoken
from gateway.errors import Exit, UserFacingError

Text: TypeAlias = dict[str, str]
"""The same sentence twice: ``{"zh": …, "en": …}``."""

MIN_LIKENESS: Final = 0.5
"""Below this ratio of difflib a guess confuses more than it helps."""

MAX_LISTED: Final = 12
"""With no near word the known ones are named, up to this many."""

EXITS: Final[dict[str, Exit]] = {
    "POINTS": Exit.USER_FILE,
    "CONFIG": Exit.USER_FILE,
    "CERT": Exit.ENVIRONMENT,
    "CONTROL": Exit.ENVIRONMENT,
    "COMMAND": Exit.ENVIRONMENT,
    "REFUSED": Exit.REFUSED,
    "NAME": Exit.USAGE,
    "SCRIPT": Exit.USER_FILE,
    "DEVICE": Exit.UNREACHABLE,
    "SPOOL": Exit.INTEGRITY,
    "STORAGE": Exit.ENVIRONMENT,
    "INTERNAL": Exit.INTERNAL,
}
"""The second word of a code says what the command ends with."""

SENTENCES: Final[dict[str, tuple[str, str, str, str]]] = {
    # code: cause zh, cause en, remedy zh, remedy en
    # --- the point table ---------------------------------------------------------------------------------
    "E-POINTS-WORKBOOK": (
        "这是 Excel 工作簿，不是 CSV。",
        "This is an Excel workbook, not CSV.",
        "请在 Excel 里另存为“CSV UTF-8（逗号分隔）”。",
        'Save it in Excel as "CSV UTF-8 (comma delimited)".',
    ),
    "E-POINTS-ENCODING": (
        "这一行的字符既不是 UTF-8 也不是 GB18030。",
        "The characters of this line are neither UTF-8 nor GB18030.",
        "请在 Excel 里另存为“CSV UTF-8（逗号分隔）”。",
        'Save it in Excel as "CSV UTF-8 (comma delimited)".',
    ),
    "E-POINTS-QUOTES": (
        "从这一行起引号不成对，后面的行无法读取。",
        "The quotes do not pair from this line on; nothing after it can be read.",
        '请改正双引号：单元格内的一个 " 要写成两个 ""。',
        'Mend the quotes: one " inside a cell is written "".',
    ),
    "E-POINTS-HEADINGS": (
        "找不到列名：开头各行里没有一格认得出来。",
        "No headings are found: not one cell of the first lines is known.",
        "在一行里写列名：位号,设备,地址,…（上面可以有标题行），用逗号、分号或制表符分隔。",
        "Write the headings in one line: tag,device,address,… with comma, semicolon or tab; a title may stand above.",
    ),
    "E-POINTS-EMPTY": (
        "点表是空的。",
        "The point table is empty.",
        "先写一行列名：位号,设备,地址,…",
        "Begin with a line of headings: tag,device,address,…",
    ),
    "E-POINTS-COLUMN-UNKNOWN": ("不认识的列“{name}”。", 'Unknown column "{name}".', "{meant}", "{meant}"),
    "E-POINTS-COLUMN-TWICE": (
        "列“{name}”重复，{letter} 列已经是它。",
        'Column "{name}" stands twice; column {letter} is it already.',
        "删去其中一列。",
        "Delete one of the two.",
    ),
    "E-POINTS-COLUMN-MISSING": (
        "缺少列“{zh}”。",
        'The column "{en}" is missing.',
        "加上列“{zh}”。",
        'Add the column "{en}".',
    ),
    "E-POINTS-UNTITLED": (
        "“{cell}”所在的列没有列名。",
        '"{cell}" stands in a column without a heading.',
        "多半是前面某格里有逗号：给那一格加双引号，或删去这一格。",
        "Most likely a cell before it holds a comma: put that cell in quotes, or delete this one.",
    ),
    "E-POINTS-HEADING-BLANK": (
        "这一列没有列名，下面却写了 {count} 格（第 {line} 行是“{cell}”）。",
        'This column has no heading, and {count} cells below it are filled (row {line}: "{cell}").',
        "写上列名，或删去这一列。",
        "Give it a heading, or delete the column.",
    ),
    "E-POINTS-TEXT": (
        "文字太长或含有不可见字符（{cell}）。",
        "The text is too long or holds invisible characters ({cell}).",
        "最多 {most} 个字符，一行之内。",
        "At most {most} characters on one line.",
    ),
    "E-POINTS-NUMBER": (
        "“{cell}”不是数字。",
        '"{cell}" is not a number.',
        "只写数字，例如 12.5；不带单位、百分号、千分位逗号；没有就留空。",
        "Write a plain number such as 12.5: no unit, no per cent, no thousands sign; leave it empty if none.",
    ),
    "E-POINTS-WHOLE": (
        "“{cell}”不是 {lowest} 到 {highest} 的整数。",
        '"{cell}" is not a whole number from {lowest} to {highest}.',
        "写 {lowest} 到 {highest} 的整数，没有就留空。",
        "Write a whole number from {lowest} to {highest}, or leave it empty.",
    ),
    "E-POINTS-BETWEEN": (
        "{cell} 不在 {lowest:g} 到 {highest:g} 之间。",
        "{cell} is not between {lowest:g} and {highest:g}.",
        "写 {lowest:g} 到 {highest:g} 的数，没有就留空；时间以秒计，不带单位。",
        "Write a number from {lowest:g} to {highest:g}, or leave it empty; times are in seconds, without a unit.",
    ),
    "E-POINTS-TOGETHER": (
        "写了“{given_zh}”，没有写“{missing_zh}”。",
        "{given_en} is given and {missing_en} is not.",
        "两格都写，或都留空。",
        "Fill in both, or leave both empty.",
    ),
    "E-POINTS-REFERENCE": (
        "“{zh}”写的位号“{name}”不在点表里。",
        'The tag "{name}" of {en} is not in the point table.',
        "写同一设备里一个点的位号，或为它加一行。",
        "Write the tag of a point of the same device, or add a row for it.",
    ),
    "E-POINTS-SCALE": (
        "系数为 0，读数会永远是同一个值。",
        "With scale 0 the value would never change.",
        "写真实的系数，没有就留空（即 1）。",
        "Write the real scale, or leave it empty for 1.",
    ),
    "E-POINTS-TAG-MISSING": (
        "没有写位号。",
        "The tag is not given.",
        "写上位号，例如 LT-101。",
        "Write the tag, for example LT-101.",
    ),
    "E-POINTS-TAG-RUINED": (
        "位号“{tag}”是 Excel 改出来的：出错的公式、日期或科学计数法。",
        'Excel has made "{tag}" of this tag: a broken formula, a date or a power of ten.',
        "把这一列设为“文本”格式，再重新填位号。",
        "Format the column as text and enter the tag again.",
    ),
    "E-POINTS-TAG-TWICE": (
        "位号“{tag}”重复，第 {line} 行已经用过。",
        'Tag "{tag}" stands in line {line} already.',
        "每个位号只能有一行。",
        "Give each tag one line only.",
    ),
    "E-POINTS-DEVICE-MISSING": ("没有写设备。", "The device is not given.", "{meant}", "{meant}"),
    "E-POINTS-DEVICE-UNKNOWN": (
        "没有名为“{name}”的设备。",
        'There is no device "{name}".',
        "{meant}",
        "{meant}",
    ),
    "E-POINTS-CAMERA-UNKNOWN": (
        "没有名为“{name}”的摄像头。",
        'There is no camera "{name}".',
        "{meant}",
        "{meant}",
    ),
    "E-POINTS-RECIPIENT-UNKNOWN": (
        "没有名为“{name}”的接收方。",
        'There is no recipient "{name}".',
        "{meant}",
        "{meant}",
    ),
    "E-POINTS-ADDRESS-MISSING": (
        "没有写地址。",
        "The address is not given.",
        "写寄存器地址或 NodeId。",
        "Write the register address or the NodeId.",
    ),
    "E-POINTS-MANY": (
        "设备“{device}”的点超过 {most} 个。",
        'Device "{device}" has more than {most} points.',
        "把它分成两个设备。",
        "Split it into two devices.",
    ),
    "E-POINTS-RANGE": (
        "量程上限 {hi:g} 不大于量程下限 {lo:g}。",
        "The upper range {hi:g} is not above the lower range {lo:g}.",
        "改正量程。",
        "Mend the range.",
    ),
    "E-POINTS-LIMIT-ORDER": (
        "“{high_zh}”{high:g} 不大于“{low_zh}”{low:g}。",
        "{high_en} {high:g} is not above {low_en} {low:g}.",
        "限值必须是 低低 < 低 < 高 < 高高。",
        "Limits must obey LL < L < H < HH.",
    ),
    "E-POINTS-LIMIT-RANGE": (
        "限值 {value:g} 在量程之外，报警不会按它动作。",
        "The limit {value:g} is outside the range, where it cannot work.",
        "改正限值或量程。",
        "Mend the limit or the range.",
    ),
    "E-POINTS-DEADBAND-NEGATIVE": (
        "死区 {deadband:g} 是负数。",
        "The deadband {deadband:g} is negative.",
        "写 0 或正数，单位与读数相同。",
        "Write 0 or more, in the unit of the value.",
    ),
    "E-POINTS-DEADBAND-WIDE": (
        "死区 {deadband:g} 不小于正常区间 {low:g}～{high:g} 的宽度，报警无法恢复。",
        "The deadband {deadband:g} is as wide as the normal span {low:g} to {high:g}: no alarm could return.",
        "减小死区；它的单位与读数相同，不是百分比。",
        "Make it smaller; it is in the value's unit, not per cent.",
    ),
    "E-POINTS-ANALOGUE": (
        "“报警状态”只用于开关量，这个点的数据类型是 {type}。",
        "alarm_on is for contacts only, and this point's type is {type}.",
        "模拟量请填 低低/低/高/高高。",
        "For an analogue point fill in ll, l, h, hh.",
    ),
    "E-POINTS-DIGITAL": (
        "开关量没有“{zh}”。",
        "A contact has no {en}.",
        "留空；开关量的报警由“报警状态”（0 或 1）和延时决定。",
        "Leave it empty; a contact's alarm is alarm_on (0 or 1) with its delays.",
    ),
    "E-POINTS-LIMIT-TEXT": (
        "文字没有“{zh}”。",
        "A text has no {en}.",
        "留空；要报警的点用数值或开关量。",
        "Leave it empty; what raises an alarm is a number or a contact.",
    ),
    "E-POINTS-POSITIVE": (
        "{cell} 不大于 0。",
        "{cell} is not above 0.",
        "写大于 0 的数，没有就留空。",
        "Write a number above 0, or leave it empty.",
    ),
    "E-POINTS-YES": (
        "“{cell}”不是“是”或“否”。",
        '"{cell}" is neither yes nor no.',
        "写 是 或 否（1 或 0）；留空即否。",
        "Write yes or no (1 or 0); empty means no.",
    ),
    "E-POINTS-EACH": (
        "“{cell}”看不懂：既不是一个数，也不是逐限的数。",
        '"{cell}" is neither one number nor one per limit.',
        "写一个数（所有限值相同），或逐限写：H=10 HH=0，也可写 高=10；高高=0。",
        "Write one number for all limits, or one per limit: H=10 HH=0.",
    ),
    "E-POINTS-EACH-TWICE": (
        "“{name}”写了两次。",
        "{name} is given twice.",
        "每个限值只写一次。",
        "Give each limit one figure.",
    ),
    "E-POINTS-EACH-LIMIT": (
        "这个点没有“{zh}”限值，这里却为它写了数。",
        "A figure is given for {en}, and this point has no such limit.",
        "填上“{zh}”，或在这一格里去掉它。",
        "Fill in {en}, or take it out of this cell.",
    ),
    "E-POINTS-GAS-DELAY": (
        "气体点不允许“{zh}”：延时会推迟报警。",
        "{en} is refused on a gas point: it would keep the alarm waiting.",
        "写 0 或留空；确有必要时在“气体延时理由”里写明理由（至少两个字，随配置保存）。",
        "Write 0 or leave it empty; where it must be, say why in gas_delay_reason (two letters or more), it is kept.",
    ),
    "E-POINTS-PRESET-UNKNOWN": (
        "没有名为“{name}”的预设。",
        'There is no preset "{name}".',
        "{meant}",
        "{meant}",
    ),
    "E-POINTS-PRESET-UNIT": (
        "预设“{name}”的单位是 {theirs}，这个点的单位是 {unit}，数值不能套用。",
        'The preset "{name}" is in {theirs}, this point in {unit}: its figures do not hold here.',
        "改正单位，或在 gateway.toml 里用 [preset.名称] 另设一个该单位的预设。",
        "Mend the unit, or add a preset in that unit: [preset.NAME] in gateway.toml.",
    ),
    "E-POINTS-PRESET-RANGE": (
        "预设“{name}”的“{limit}”{value:g} 在量程之外，报警不会按它动作。",
        '{limit} {value:g} of the preset "{name}" is outside the range, where it cannot work.',
        "改正量程，或自己填这个限值；不要这个限值就写“无”。",
        'Mend the range, or fill in the limit yourself; write "none" for no such limit.',
    ),
    "E-POINTS-PRESET-ORDER": (
        "加上预设“{name}”，“{high_zh}”{high:g} 不大于“{low_zh}”{low:g}。",
        'With the preset "{name}", {high_en} {high:g} is not above {low_en} {low:g}.',
        "改正所填的限值；不要预设的那个限值就在它的格里写“无”。",
        'Mend the limit in the row, or write "none" where the preset\'s limit would stand.',
    ),
    "E-POINTS-DEVIATION-DEADBAND": (
        "偏差死区 {deadband:g} 不小于偏差限 {deviation:g}，报警无法恢复。",
        "The deadband {deadband:g} is not below the deviation {deviation:g}: the alarm could not return.",
        "减小偏差死区；它的单位与读数相同。",
        "Make it smaller; it is in the value's unit.",
    ),
    "E-POINTS-WINDOW": (
        "速率窗口 {window:g} 秒里的读数太少（采集周期 {period:g} 秒），算不出速率。",
        "A rate window of {window:g} s holds too few readings (period {period:g} s) to tell a rate.",
        "速率窗口至少 {least:g} 秒，或缩短采集周期。",
        "Make it {least:g} s or more, or the period shorter.",
    ),
    "E-POINTS-FORECAST": (
        "没有限值，无从预测。",
        "Without a limit there is nothing to forecast.",
        "填上限值，或去掉“趋势预测”。",
        "Fill in a limit, or take forecast out.",
    ),
    "E-POINTS-TAG-UNKNOWN": (
        "“{zh}”写的“{name}”不是点表里的位号。",
        'The "{name}" of {en} is no tag of the point table.',
        "写任一设备的一个点的位号（“偏差基准”也可写一个数），或为它加一行。",
        "Write the tag of a point of any device (for deviation_from a number will do), or add a row for it.",
    ),
    "E-POINTS-SELF": (
        "“{zh}”写的是这个点自己。",
        "{en} names this very point.",
        "写另一个点的位号。",
        "Write another point's tag.",
    ),
    "E-POINTS-WANTS-NUMBER": (
        "“{zh}”写的点 {name} 不是数值。",
        "{name}, named by {en}, is no number.",
        "写一个模拟量的位号，或一个数。",
        "Write the tag of an analogue point, or a number.",
    ),
    "E-POINTS-WANTS-CONTACT": (
        "“{zh}”写的点 {name} 不是开关量。",
        "{name}, named by {en}, is no contact.",
        "写一个开关量的位号；若它确是开关量，在它那一行的“数据类型”写 bit 或 bool。",
        "Write a contact's tag; if it is one, give its row the type bit or bool.",
    ),
    "E-POINTS-CODE-RUINED": (
        "编码“{cell}”是 Excel 改出来的：日期、科学计数法或出错的公式，原来的编码已丢失。",
        'Excel has made "{cell}" of this code: a date, a power of ten or a broken formula; the code is lost.',
        "把这一列设为“文本”格式，再重新填编码。",
        "Format the column as text and enter the code again.",
    ),
    "E-POINTS-CODE-ROUNDED": (
        "编码“{cell}”已被 Excel 当作数字取整：第 15 位以后都变成了 0。",
        'Excel has rounded the code "{cell}": every digit after the 15th has become 0.',
        "把这一列设为“文本”格式，再重新填编码。",
        "Format the column as text and enter the code again.",
    ),
    "E-POINTS-CODE-TWICE": (
        "编码“{cell}”重复，第 {line} 行已经用过。",
        'Code "{cell}" stands in line {line} already.',
        "同一接收方的编码不能重复。",
        "A recipient's codes must differ from point to point.",
    ),
    # --- gateway.toml ------------------------------------------------------------------------------------
    "E-CONFIG-FILE": (
        "读不到这个文件（{reason}）。",
        "This file cannot be read ({reason}).",
        "检查路径和权限；样例见 docs/sample。",
        "Check its path and permissions; docs/sample holds a sample.",
    ),
    "E-CONFIG-ENCODING": (
        "这一行不是 UTF-8。",
        "This line is not UTF-8.",
        "用 UTF-8 编码另存此文件。",
        "Save the file as UTF-8.",
    ),
    "E-CONFIG-SYNTAX": (
        "TOML 语法不对：{zh}。",
        "Not valid TOML: {en}.",
        "改正这一处（或它前面的引号、括号、等号）。",
        "Mend this spot, or the quotes, brackets or equals sign before it.",
    ),
    "E-CONFIG-KEY-UNKNOWN": ("不认识的键“{key}”。", 'Unknown key "{key}".', "{meant}", "{meant}"),
    "E-CONFIG-KEY-MISSING": (
        "缺少“{key}”。",
        '"{key}" is missing.',
        "在这一节加上 {key} = …。",
        "Add {key} = … to this section.",
    ),
    "E-CONFIG-SECTION": (
        "“{key}”要写成一节。",
        '"{key}" must be a section.',
        "写成 {form}。",
        "Write it as {form}.",
    ),
    "E-CONFIG-SECTION-MISSING": (
        "缺少 {form} 一节。",
        "The section {form} is missing.",
        "{hint}",
        "{hint}",
    ),
    "E-CONFIG-TYPE-TEXT": (
        "“{key}”要写文字。",
        '"{key}" must be text.',
        '写成 {key} = "…"，用英文双引号。',
        'Write {key} = "…".',
    ),
    "E-CONFIG-TYPE-WHOLE": (
        "“{key}”要写整数。",
        '"{key}" must be a whole number.',
        "写成 {key} = 整数，不加引号，没有小数点。",
        "Write {key} = number, without quotes and without a decimal point.",
    ),
    "E-CONFIG-TYPE-NUMBER": (
        "“{key}”要写数字。",
        '"{key}" must be a number.',
        "写成 {key} = 数字，不加引号，不带单位。",
        "Write {key} = number, without quotes and unit.",
    ),
    "E-CONFIG-TYPE-BOOLEAN": (
        "“{key}”只能是 true 或 false。",
        '"{key}" must be true or false.',
        "写成 {key} = true 或 {key} = false。",
        "Write {key} = true or {key} = false.",
    ),
    "E-CONFIG-TYPE-LIST": (
        "“{key}”要写成列表。",
        '"{key}" must be a list.',
        '写成 {key} = ["…", "…"]。',
        'Write {key} = ["…", "…"].',
    ),
    "E-CONFIG-CHOICE": (
        "“{key}”的值不在可选范围内。",
        '"{key}" has none of the values it may have.',
        "可选：{expected}。",
        "Choose {expected}.",
    ),
    "E-CONFIG-LOW": ("“{key}”太小。", '"{key}" is too small.', "最小 {ge}。", "At least {ge}."),
    "E-CONFIG-ABOVE": ("“{key}”太小。", '"{key}" is too small.', "要大于 {gt:g}。", "Above {gt:g}."),
    "E-CONFIG-LONG": (
        "“{key}”太长。",
        '"{key}" is too long.',
        "最多 {max_length} 项（字）。",
        "At most {max_length}.",
    ),
    "E-CONFIG-HIGH": ("“{key}”太大。", '"{key}" is too large.', "最大 {le}。", "At most {le}."),
    "E-CONFIG-EMPTY": ("“{key}”是空的。", '"{key}" is empty.', "写上它的值。", "Give it a value."),
    "E-CONFIG-PATTERN": ("“{key}”的写法不对。", '"{key}" is not written as it must be.', "{rule}", "{rule}"),
    "E-CONFIG-SIZE": (
        "“{key}”不是容量。",
        '"{key}" is not a size.',
        '写成 {key} = "8 GiB"，或字节数。',
        'Write {key} = "8 GiB", or a number of bytes.',
    ),
    "E-CONFIG-VALUE": (
        "“{key}”的值不对（{message}）。",
        'The value of "{key}" is wrong ({message}).',
        "改正这个值。",
        "Mend the value.",
    ),
    "E-CONFIG-NAME-TWICE": (
        "名称“{name}”重复，第 {line} 行已经用过。",
        'The name "{name}" stands in line {line} already.',
        "换一个名称。",
        "Choose another name.",
    ),
    "E-CONFIG-SERIAL-TWICE": (
        "串口 {serial} 已被第 {line} 行的设备占用。",
        "The serial line {serial} is the device's in line {line} already.",
        "一条线上的各站写成同一个设备的点，用“站号”区分；或改正串口。",
        "Write the units of one line as points of one device, with their unit_id; or mend the line.",
    ),
    "E-CONFIG-DRIVER-UNKNOWN": ("没有驱动“{name}”。", 'There is no driver "{name}".', "{meant}", "{meant}"),
    "E-CONFIG-DRIVER-KIND": (
        "驱动“{name}”不能用在 [[{used}]] 里。",
        'The driver "{name}" cannot stand in [[{used}]].',
        "把它写在 [[{right}]] 里。",
        "Put it into [[{right}]].",
    ),
    "E-CONFIG-DIALECT-UNKNOWN": (
        "没有方言“{name}”。",
        'There is no dialect "{name}".',
        "{meant}",
        "{meant}",
    ),
    "E-CONFIG-MANY": (
        "[[{section}]] 有 {count} 个。",
        "There are {count} [[{section}]].",
        "最多 {most} 个。",
        "At most {most}.",
    ),
    "E-CONFIG-PATH-VARIABLE": (
        "路径“{written}”里有不支持的变量。",
        'The path "{written}" holds an unsupported variable.',
        "只能在开头写 ${{CREDENTIALS_DIRECTORY}}/。",
        "Only a leading ${{CREDENTIALS_DIRECTORY}}/ is allowed.",
    ),
    "E-CONFIG-OUTPUT": (
        "输出“{name}”的“{key}”不对。",
        'The "{key}" of output "{name}" is wrong.',
        "{hint}",
        "{hint}",
    ),
    "E-CONFIG-PRESET-EMPTY": (
        "预设“{name}”没有任何限值。",
        'The preset "{name}" has no limit.',
        "写 ll、l、h、hh 中至少一个；换了单位时，原来的数值不再适用，要重新写。",
        "Give one of ll, l, h, hh at least; in another unit none of the old figures holds, so write them anew.",
    ),
    "E-CONFIG-PRESET-ORDER": (
        "预设“{name}”的 {high_key} {high:g} 不大于 {low_key} {low:g}。",
        'Of the preset "{name}", {high_key} {high:g} is not above {low_key} {low:g}.',
        "限值必须是 ll < l < h < hh。",
        "Limits must obey ll < l < h < hh.",
    ),
    "E-CONFIG-PRESET-DEADBAND": (
        "预设“{name}”的死区 {deadband:g} 不小于 {low_key} 与 {high_key} 之间的宽度，报警无法恢复。",
        'The deadband {deadband:g} of the preset "{name}" is as wide as the span from {low_key} to {high_key}.',
        "减小死区。",
        "Make it smaller, or no alarm could return.",
    ),
    "E-CONFIG-TAG-UNKNOWN": (
        "点表里没有位号“{tag}”。",
        'There is no tag "{tag}" in the point table.',
        "{meant}",
        "{meant}",
    ),
    "E-CONFIG-BALANCE-FLOWS": (
        "物料平衡“{name}”没有流量。",
        'The balance "{name}" has no flow.',
        "在 inflows 或 outflows 里至少写一个流量的位号。",
        "Name one flow at least, in inflows or outflows.",
    ),
    "E-CONFIG-BALANCE-TWICE": (
        "位号“{tag}”在这个物料平衡里用了两次。",
        'The tag "{tag}" stands in this balance twice.',
        "每个位号只写一处。",
        "Give each tag one place.",
    ),
    "E-CONFIG-BALANCE-KIND": (
        "“{tag}”不是数值，不能用于物料平衡。",
        '"{tag}" is no number, and cannot stand in a balance.',
        "写液位或流量的位号。",
        "Name a level or a flow.",
    ),
    "E-CONFIG-BALANCE-UNIT": (
        "流量“{tag}”的单位是 {unit}，物料平衡按 m³/h 计算。",
        'The flow "{tag}" is in {unit}, and a balance is drawn in m3/h.',
        "换成 m³/h（用点表的系数换算），并改写单位。",
        "Convert it to m3/h by the point's scale, and write that unit.",
    ),
    # --- certificates, keys, secrets ---------------------------------------------------------------------
    "E-CERT-MISSING": (
        "没有这个文件。",
        "There is no such file.",
        "把证书或密钥放到这里，或改正配置中的路径。",
        "Put the certificate or key there, or mend the path in the configuration.",
    ),
    "E-CERT-UNREADABLE": (
        "读不到这个文件（{reason}）。",
        "This file cannot be read ({reason}).",
        "让 plantgate 用户可以读它。",
        "Make it readable for the user plantgate.",
    ),
    "E-CERT-FORMAT": (
        "这不是 PEM 或 DER 格式的证书。",
        "This is no certificate in PEM or DER form.",
        "向平台方重新索取证书文件。",
        "Ask the platform's operator for the certificate again.",
    ),
    "E-CERT-TRUST-EMPTY": (
        "这个目录里没有任何证书。",
        "There is no certificate in this folder.",
        "把对方的证书（.pem、.crt、.cer 或 .der）放进来。",
        "Put the other side's certificate (.pem, .crt, .cer or .der) into it.",
    ),
    "E-CERT-EXPIRED": (
        "证书 {subject} 已于 {last} 过期（本机时间 {now}）。",
        "The certificate {subject} ended on {last} (this machine's time: {now}).",
        "先核对本机时间（timedatectl），再向平台方申请新证书。",
        "Check this machine's clock first (timedatectl), then ask the platform's operator for a new one.",
    ),
    "E-CERT-NOT-YET": (
        "证书 {subject} 从 {first} 起才有效（本机时间 {now}）。",
        "The certificate {subject} holds only from {first} on (this machine's time: {now}).",
        "多半是本机时间不对：用 timedatectl 校时。",
        "Most likely this machine's clock is wrong: set it (timedatectl).",
    ),
    "E-CERT-KEY-OPEN": (
        "其他用户也能读这个密钥文件（权限 {mode}）。",
        "Other users can read this secret file (mode {mode}).",
        "执行 chmod 600，并让 plantgate 用户拥有它。",
        "Run chmod 600 on it, and let the user plantgate own it.",
    ),
    "E-CERT-KEY-ENCRYPTED": (
        "私钥有口令保护，服务无法输入口令。",
        "The private key has a passphrase, and a service cannot type one.",
        "去掉口令（openssl pkey -in 旧 -out 新），权限设为 600。",
        "Remove the passphrase (openssl pkey -in OLD -out NEW) and set mode 600.",
    ),
    "E-CERT-KEY-FORMAT": (
        "这不是 PEM 或 DER 格式的私钥。",
        "This is no private key in PEM or DER form.",
        "检查是否放错了文件。",
        "Check that the right file is there.",
    ),
    "E-CERT-KEY-OTHER": (
        "这个私钥不属于证书 {certificate}。",
        "This private key does not belong to the certificate {certificate}.",
        "证书和私钥要成对：检查是否拿错了其中一个。",
        "They come as a pair: check which of the two is the wrong one.",
    ),
    "E-CERT-ORDERS": (
        "这个证书不能用来验证 {recipient} 的预警和处置：密钥不是 P-256。",
        "This certificate cannot verify what {recipient} sends down: its key is not P-256.",
        "向 {recipient} 索取签发预警用的 P-256 证书。",
        "Ask {recipient} for the P-256 certificate with whose key it signs.",
    ),
    # --- the control socket ------------------------------------------------------------------------------
    "E-CONTROL-ABSENT": (
        "没有网关在运行。",
        "No gateway is running.",
        "启动它：systemctl start plantgate；或用 --config 指向正在运行的配置。",
        "Start it with systemctl start plantgate, or point --config to the configuration that runs.",
    ),
    "E-CONTROL-PERMISSION": (
        "您无权访问控制套接字。",
        "You may not use the control socket.",
        "请管理员把您的用户加入 plantgate 组，然后重新登录。",
        "Ask the administrator to add your user to the group plantgate, then log in again.",
    ),
    "E-CONTROL-SILENT": (
        "网关没有应答，或中断了连接。",
        "The gateway does not answer, or broke the connection off.",
        "稍后再试；若仍如此，查看 journalctl -u plantgate。",
        "Try again; if it stays so, look into journalctl -u plantgate.",
    ),
    "E-CONTROL-RUNNING": (
        "另一个网关已在这个套接字上运行。",
        "Another gateway already runs on this socket.",
        "先停掉它，或在 [runtime] folder 写另一个目录。",
        "Stop it first, or give another folder in [runtime].",
    ),
    "E-CONTROL-OCCUPIED": (
        "这里有一个不是套接字的文件。",
        "A file that is no socket stands here.",
        "移走它，或在 [runtime] folder 写另一个目录。",
        "Move it away, or give another folder in [runtime].",
    ),
    "E-CONTROL-FOLDER": (
        "不能在这里建立控制套接字（{reason}）。",
        "The control socket cannot be made here ({reason}).",
        "检查 [runtime] folder 的权限和长度（整个路径不超过 107 字节）。",
        "Check the folder in [runtime]: its permissions, and its length (107 bytes at most for the path).",
    ),
    "E-CONTROL-CROWDED": (
        "同时连接的客户端已有 {most} 个。",
        "There are {most} clients already.",
        "关闭不用的 plantgate watch。",
        "Close a plantgate watch that nobody needs.",
    ),
    "E-CONTROL-REQUEST": (
        "看不懂这个请求。",
        "The request is not understood.",
        "每行一个 JSON 对象，带 op，最多 {most} 字节；客户端和网关的版本要一致。",
        "Send one JSON object with op per line, at most {most} bytes; use a client of the gateway's version.",
    ),
    "E-REFUSED-ROLE": (
        "用户 {user} 的角色是 {role}，此操作需要 {needed}。",
        "User {user} has the role {role}; this needs {needed}.",
        "请工程师在 [roles] 里给他的用户组授权。",
        "Ask an engineer to grant it to one of the user's groups in [roles].",
    ),
    "E-REFUSED-REASON": (
        "没有写原因。",
        "No reason is given.",
        "用 --reason 写明原因。",
        "Give it with --reason.",
    ),
    "E-REFUSED-LONG": (
        "时间必须大于 0，最长 {longest}。",
        "The time must be above 0 and at most {longest}.",
        "请写一个更短的时间；上限在 [alarms] 里。",
        "Give a shorter one; the bound is in [alarms].",
    ),
    "E-REFUSED-HELD": (
        "搁置和停用的报警已有 {most} 条。",
        "There are {most} shelved and out-of-service alarms already.",
        "先恢复不再需要的。",
        "Return those that need it no longer.",
    ),
    "E-REFUSED-NOT-HELD": (
        "{target} 没有被搁置或停用。",
        "{target} is neither shelved nor out of service.",
        "用 plantgate alarms held 查看。",
        "See plantgate alarms held.",
    ),
    "E-REFUSED-RESET": (
        "这条报警不能复位：只有已恢复、已确认的锁存报警才能复位。",
        "This alarm cannot be reset: only a latched one that has returned and was acknowledged can.",
        "先确认，等恢复后再复位。",
        "Acknowledge it, and reset it once it has returned.",
    ),
    "E-REFUSED-TEST": (
        "这个点正在测试，或同时进行的测试已有 {most} 个。",
        "This point is being tested, or {most} tests run already.",
        "先结束一个测试。",
        "End a test first.",
    ),
    "E-REFUSED-SIRENS": (
        "没有配置声响或灯光输出。",
        "No horn and no lamp is configured.",
        '在一个 [[output]] 里写 signal = "horn" 或 "lamp"。',
        'Write signal = "horn" or "lamp" in an [[output]].',
    ),
    "E-NAME-FIELD": (
        "缺少 {field}，或超过 {most} 个字符。",
        "{field} is missing, or longer than {most} characters.",
        "写 1 到 {most} 个字符。",
        "Write 1 to {most} characters.",
    ),
    "E-NAME-ENCODING": (
        "写的文字不是 UTF-8。",
        "What is written is not UTF-8.",
        "请把终端的编码设为 UTF-8。",
        "Set the terminal's encoding to UTF-8.",
    ),
    "E-NAME-SECONDS": (
        "{field} 要大于 0 秒，最多 {most_s} 秒。",
        "{field} must be more than 0 s and at most {most_s} s.",
        "请写一个更短的时间。",
        "Give a shorter time.",
    ),
    "E-REFUSED-LIMIT-SAME": (
        "{name} 的限值本来就是这样。",
        "The limits of {name} are so already.",
        "用 plantgate limits --all 查看现行限值。",
        "See plantgate limits --all.",
    ),
    "E-REFUSED-LIMIT-WAITS": (
        "{name} 已有一项限值修改在等待第二人批准。",
        "A change of {name} waits for a second person already.",
        "先批准或拒绝它，见 plantgate limits。",
        "Approve or reject that one first, see plantgate limits.",
    ),
    "E-REFUSED-LIMIT-MANY": (
        "等待第二人批准的修改已有 {most} 项。",
        "There are {most} changes that wait for a second person.",
        "先批准或拒绝其中一些，见 plantgate limits。",
        "Approve or reject some of them first, see plantgate limits.",
    ),
    "E-REFUSED-LIMIT-ABSENT": (
        "没有编号为 {name} 的待批准修改，可能已过期。",
        "No change called {name} waits; it may have expired.",
        "用 plantgate limits 查看待批准的修改。",
        "See plantgate limits for those that wait.",
    ),
    "E-REFUSED-LIMIT-DISK": (
        "磁盘不能写入，修改进不了记录；限值没有改变。",
        "The disk cannot be written, so the change would not go into the record; no limit has changed.",
        "见 plantgate status；磁盘恢复后再改。",
        "See plantgate status; try again once the disk is back.",
    ),
    "E-REFUSED-LIMIT-TABLE": (
        "{name} 的限值与点表一致。",
        "The limits of {name} are as in the point table.",
        "不需要恢复。",
        "There is nothing to return.",
    ),
    "E-REFUSED-SAME-PERSON": (
        "{user} 是提出修改的人，不能自己批准。",
        "{user} asked for this change and cannot approve it.",
        "请另一位工程师用自己的账号批准。",
        "Another engineer approves it, as his own user.",
    ),
    "E-REFUSED-LIMIT-KIND": (
        "{name} 是开关量或文本，没有 LL、L、H、HH。",
        "{name} is a contact or a text; it has no LL, L, H, HH.",
        "它的报警状态在点表里改。",
        "Change its alarm state in the point table.",
    ),
    "E-REFUSED-LIMIT-ORDER": (
        "{low}（{low_value:g}）必须小于 {high}（{high_value:g}）。",
        "{low} ({low_value:g}) must be below {high} ({high_value:g}).",
        "限值要依次 LL < L < H < HH。",
        "Keep LL < L < H < HH.",
    ),
    "E-REFUSED-LIMIT-RANGE": (
        "{field} = {value:g} 在量程之外。",
        "{field} = {value:g} is outside the range.",
        "写量程以内的数值；量程在点表里。",
        "Give a value within the range, which is in the point table.",
    ),
    "E-REFUSED-LIMIT-DEADBAND": (
        "死区 {deadband:g} 比 {field} 所在的正常区间还宽，报警永远不会恢复。",
        "The deadband {deadband:g} of {field} is wider than the normal span: the alarm would never return.",
        "写更宽的限值，或先在点表里改小死区。",
        "Give wider limits, or make the deadband in the point table smaller first.",
    ),
    "E-NAME-LIMIT": (
        "“{field}”不是可以修改的限值。",
        '"{field}" is no limit that can be changed.',
        "写成 LL=…、L=…、H=…、HH=…，每个一次；去掉一个限值写 none。",
        "Write LL=…, L=…, H=…, HH=…, each once; none takes a limit away.",
    ),
    "E-NAME-TARGET": (
        "没有名为“{name}”的报警、报警条件或位号。",
        'No alarm, no condition of one and no tag is called "{name}".',
        "报警编号见 plantgate alarms，位号见 plantgate status --points。",
        "For alarms see plantgate alarms, for tags plantgate status --points.",
    ),
    "E-NAME-NO-TEST": (
        "{name} 没有在测试。",
        "No test of {name} runs.",
        "用 plantgate alarms held 查看进行中的测试。",
        "See plantgate alarms held for those that run.",
    ),
    "E-NAME-VALUE": (
        "{field} 要写成数字。",
        "{field} must be a number.",
        "写工程单位的数值，例如 85.5。",
        "Give it in engineering units, for example 85.5.",
    ),
    "E-NAME-DURATION": (
        "“{text}”不是时间。",
        '"{text}" is no duration.',
        "写成 90s、30m、2h、1h30m，或 30分钟、2小时。",
        "Write 90s, 30m, 2h or 1h30m.",
    ),
    "E-NAME-UNKNOWN": (
        "没有名为“{name}”的设备或位号。",
        'There is no device and no tag "{name}".',
        "{meant}",
        "{meant}",
    ),
    "E-NAME-NO-POINTS": (
        "{whose}没有点，没有可读的值。",
        "{whose} has no points, so there is nothing to read.",
        "在点表里列名之下写上点，每行至少写位号、设备、地址。",
        "Write points below the point table's headings: a row each, with tag, device and address at least.",
    ),
    "E-DEVICE-UNREACHABLE": (
        "设备读不到（{detail}）。",
        "The device cannot be read ({detail}).",
        "检查电源、网线、地址和端口；别的程序可能占着它唯一的连接。",
        "Check power, cable, address and port; another program may hold its only session.",
    ),
    # --- OPC UA: whom to trust ---------------------------------------------------------------------------
    "E-NAME-OPCUA": (
        "“{name}”不是 OPC UA 设备，不是服务器地址（opc.tcp://…），也不是证书文件。",
        '"{name}" is no OPC UA device, no address of a server (opc.tcp://…) and no certificate file.',
        "{meant}",
        "{meant}",
    ),
    "E-NAME-BROWSE": (
        "没有说要浏览哪个服务器。",
        "It is not said which server to browse.",
        "写设备名或地址，例如 plantgate read opc.tcp://192.168.10.31:4840 --browse。",
        "Give a device or an address, for example plantgate read opc.tcp://192.168.10.31:4840 --browse.",
    ),
    "E-NAME-OPCUA-WHICH": (
        "配置中有几个信任目录，不知道这个文件该进哪一个。",
        "The configuration has several trusted folders; it is not clear which one this file belongs into.",
        "把文件放进该设备的 rejected 目录再执行，或写设备名：{names}。",
        "Put the file into that device's rejected folder and try again, or name the device: {names}.",
    ),
    "E-NAME-FINGERPRINT": (
        "这里没有人可以核对指纹；不会擅自信任。",
        "Nobody can compare the fingerprint here; nothing is trusted silently.",
        "在终端上执行，或用 --fingerprint 给出从服务器上看到的完整 SHA-256 指纹。",
        "Run it on a terminal, or give --fingerprint with the complete SHA-256 as the server itself shows it.",
    ),
    "E-NAME-FINGERPRINT-SHORT": (
        "“{typed}”不是完整的 SHA-256 指纹。",
        '"{typed}" is not a complete SHA-256 fingerprint.',
        "写全 64 位十六进制数字，空格和冒号不限。",
        "Give all 64 hex digits; blanks and colons do not matter.",
    ),
    "E-REFUSED-FINGERPRINT": (
        "指纹不符，没有信任。出示的是 {shown}，给出的是 {typed}。",
        "The fingerprints differ; nothing was trusted. Shown is {shown}, given was {typed}.",
        "若服务器没有换过证书，可能有人冒充它：停下来，联系仪表和网络负责人。",
        "If the server has no new certificate, somebody may pose as it: stop, and ask whoever runs the network.",
    ),
    "E-REFUSED-CERTIFICATE": (
        "这个证书不能信任（{detail}）。",
        "This certificate cannot be trusted ({detail}).",
        "按括号里的原因处理；plantgate opcua certs 显示双方的指纹。",
        "Mend what the brackets say; plantgate opcua certs shows both fingerprints.",
    ),
    "E-REFUSED-BARE": (
        "服务器不出示证书，没有什么可以信任。",
        "The server shows no certificate; there is nothing to trust.",
        "请服务器管理员启用 Basic256Sha256；实在不行才在配置中写 insecure = true。",
        "Have Basic256Sha256 enabled at the server; only where that cannot be, set insecure = true for the device.",
    ),
    "E-REFUSED-SERVER": (
        "与服务器互不信任，或身份被拒（{detail}）。",
        "Server and gateway do not trust each other, or the identity is refused ({detail}).",
        "先看 plantgate opcua certs，再用 plantgate opcua trust 信任它；服务器也要信任本机证书。",
        "See plantgate opcua certs, then plantgate opcua trust; the server must trust the gateway's certificate, too.",
    ),
    "E-CERT-OWN": (
        "本机证书不能用（{detail}）。",
        "The gateway's own certificate cannot be used ({detail}).",
        "按括号里的原因处理后再试。",
        "Mend what the brackets say and try again.",
    ),
    "E-CERT-STORE": (
        "不能读写证书（{reason}）。",
        "The certificates cannot be read or written ({reason}).",
        "配置中写明的目录要先建好；用 plantgate 用户执行：sudo -u plantgate plantgate opcua …",
        "Make the folder that the configuration names; run as plantgate: sudo -u plantgate plantgate opcua …",
    ),
    # --- the record and the alarms -----------------------------------------------------------------------
    "E-SPOOL-NEWER": (
        "存储文件由更新版本的程序写入，未作任何改动。",
        "The spool was written by a newer version; it is untouched.",
        "请安装该版本或更高版本。",
        "Install that version or a newer one.",
    ),
    "E-STORAGE-BUSY": (
        "另一个进程正在使用该存储。",
        "Another process holds this spool.",
        "请先停止它，或更改 [storage] folder。",
        "Stop it, or change [storage] folder.",
    ),
    "E-STORAGE-FOLDER": (
        "无法在此文件夹中建立或打开存储（{message}）。",
        "The spool cannot be opened here ({message}).",
        "请检查文件夹是否存在、权限和剩余空间。",
        "Check that the folder exists, its permissions and its free space.",
    ),
    "E-NAME-ALARM": (
        "没有这条报警。",
        "No live alarm is called that.",
        "用 plantgate alarms 查看现有报警；可写编号、位号或报警条件。",
        "See `plantgate alarms` for the live ones; give an ID, a tag or a condition.",
    ),
    # --- alarm scripts and recorded scans -------------------------------------------------------------------
    "E-SCRIPT-FILE": (
        "读不到这个文件（{reason}）。",
        "This file cannot be read ({reason}).",
        "检查路径和权限。",
        "Check its path and permissions.",
    ),
    "E-SCRIPT-TITLE": (
        "第一行不是标题。",
        "The first line is no title.",
        "第一行写“# ”和这个用例说明什么。",
        'Begin with "# " and what this case shows.',
    ),
    "E-SCRIPT-LONG": (
        "文件太长。",
        "The file is too long.",
        "最多 {most} 行，分成几个文件。",
        "At most {most} lines; split it.",
    ),
    "E-SCRIPT-SPAN": (
        "记录从 {first} 到 {last}，超过 {most} 天。",
        "The record goes from {first} to {last}, longer than {most} days.",
        "检查日期有没有写错；确实这么长就分成几个文件。",
        "See whether a date is wrong; if it is so long, split it.",
    ),
    "E-SCRIPT-BYTES": (
        "文件超过 {most} MiB。",
        "The file is longer than {most} MiB.",
        "分成几个文件。",
        "Split it.",
    ),
    "E-SCRIPT-EMPTY": (
        "没有点。",
        "There is no point.",
        "先写点，例如 point LT-101 h=80 hh=90 deadband=2。",
        "Begin with the points, such as point LT-101 h=80 hh=90 deadband=2.",
    ),
    "E-SCRIPT-HEADER": (
        "点和设备要写在第一个时刻之前。",
        "Points and devices stand before the first moment.",
        "把这一行移到前面；中途改限值用 limits。",
        "Move this line up; to change limits later use limits.",
    ),
    "E-SCRIPT-TIME": (
        "“{text}”不是时间。",
        '"{text}" is not a time.',
        "行首写从开始算起的时间，例如 10s、1.5min、2h（最多 31 天）；期望的结果要缩进。",
        "Begin with the time since the beginning, such as 10s, 1.5min, 2h (31 days at most); indent what is expected.",
    ),
    "E-SCRIPT-BACK": (
        "时间倒退了：前面已经到 {before}。",
        "Time runs backwards: it is {before} already.",
        "按时间先后写；要改时钟用 clock。",
        "Write moments in their order; to set the clock use clock.",
    ),
    "E-SCRIPT-FORM": (
        "这一行不完整或写法不对。",
        "This line is not complete, or not written as it must be.",
        "写成：{form}",
        "Write: {form}",
    ),
    "E-SCRIPT-TWICE": ("“{name}”写了两次。", '"{name}" stands twice.', "删去一个。", "Delete one."),
    "E-SCRIPT-WORD": ("不认识“{name}”。", 'Unknown word "{name}".', "{meant}", "{meant}"),
    "E-SCRIPT-EXPECTED": (
        "期望的结果前面没有时刻。",
        "Something is expected before the first moment.",
        "先写时刻，例如 10s LT-101 80。",
        "Write a moment first, such as 10s LT-101 80.",
    ),
    "E-SCRIPT-SCANS": (
        "没有可判断的记录。",
        "There is nothing to judge.",
        "写一行列名（时间,位号,数值,质量），下面每行一个读数。",
        "Write a line of headings (time, point, value, quality) and a reading per line below it.",
    ),
    "E-SCRIPT-COLUMN": (
        "缺少列“{zh}”。",
        'The column "{en}" is missing.',
        "列名：时间,位号,数值,质量。",
        "The headings are: time, point, value, quality.",
    ),
    "E-SCRIPT-STAMP": (
        "“{text}”不是时间。",
        '"{text}" is not a time.',
        "写成 2026-11-22T11:31:00.123+08:00；不写时区就是北京时间。",
        "Write 2026-11-22T11:31:00.123+08:00; without an offset it is Beijing time.",
    ),
    "E-SCRIPT-POINT": (
        "点表里没有位号“{name}”。",
        'The point table has no tag "{name}".',
        "{meant}",
        "{meant}",
    ),
    # --- warnings from above -----------------------------------------------------------------------------
    "E-NAME-WARNING": (
        "没有编号为“{name}”的上级预警或处置。",
        'There is no warning or order "{name}" from above.',
        "用 plantgate warnings 查看。",
        "See plantgate warnings.",
    ),
    "E-NAME-WARNING-WHICH": (
        "有几个接收方用了同一编号。",
        "Several recipients use this id.",
        "写全：{names}。",
        "Write one of {names}.",
    ),
    "E-REFUSED-ANSWERS": (
        "这一条已反馈 {most} 次。",
        "This one has been answered {most} times.",
        "请直接联系上级平台。",
        "Call the authority.",
    ),
    "E-INTERNAL": (
        "程序内部错误（{message}）。",
        "An error inside the program ({message}).",
        "请把上面的信息发给供应商。",
        "Please send this to the supplier.",
    ),
}


_SYSTEM_ZH: Final[dict[int, str]] = {
    errno.EACCES: "没有权限",
    errno.EADDRINUSE: "端口已被占用",
    errno.EIO: "磁盘或设备出错",
    errno.EISDIR: "这是目录，不是文件",
    errno.ENAMETOOLONG: "路径太长",
    errno.ENOENT: "没有这个文件或目录",
    errno.ENOSPC: "磁盘已满",
    errno.ENOTDIR: "路径中间有一段不是目录",
    errno.EPERM: "不允许",
    errno.EROFS: "文件系统只读",
}
"""What the system says of files most often; anything else is shown as it says it."""


def both(zh: str, en: str) -> Text:
    """One sentence in both languages."""
    return {"zh": zh, "en": en}


def reason(error: OSError) -> Text:
    """Why the system refused, in words."""
    text = error.strerror or str(error)
    return both(_SYSTEM_ZH.get(error.errno or 0, text), text)


def said(code: str, place: str, /, **facts: object) -> UserFacingError:
    """The error a code stands for, with its facts filled in.

    Args:
        code: a key of ``SENTENCES``.
        place: where it is.
        **facts: what the sentences name; a ``Text`` is filled in by language, a driver's ``detail`` as far as known.
    """
    cause_zh, cause_en, remedy_zh, remedy_en = SENTENCES[code]

    def filled(template: str, language: str) -> str:
        told = {name: fact[language] if isinstance(fact, dict) else fact for name, fact in facts.items()}
        if isinstance(detail := told.get("detail"), str):
            told["detail"] = spoken(detail, language)
        return template.format(**told)

    return UserFacingError(
        code,
        EXITS[code.split("-")[1]],
        place,
        both(filled(cause_zh, "zh"), filled(cause_en, "en")),
        both(filled(remedy_zh, "zh"), filled(remedy_en, "en")),
    )


@lru_cache(maxsize=1024)
def _nearest(word: str, known: frozenset[str]) -> str | None:
    folded = {name.casefold(): name for name in sorted(known)}
    found = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=MIN_LIKENESS)
    return folded[found[0]] if found else None


def meant(word: str, known: Iterable[str]) -> Text:
    """Names the known word nearest to an unknown one, else the known ones, else says that there are none.

    A tuple is listed in its own order.
    """
    usual = tuple(known)
    names = frozenset(usual)
    near = _nearest(word, names)
    if near is not None:
        return both(f"是不是“{near}”？", f'Did you mean "{near}"?')
    if not names:
        return both("目前一个也没有定义。", "None is defined yet.")
    listed = usual if isinstance(known, tuple) else sorted(names)
    more = len(listed) - MAX_LISTED
    return both(
        f"可用的有：{'、'.join(listed[:MAX_LISTED])}{f' 等 {len(listed)} 个' if more > 0 else ''}。",
        f"Known: {', '.join(listed[:MAX_LISTED])}{f' and {more} more' if more > 0 else ''}.",
    )
