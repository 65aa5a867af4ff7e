package clock

import (
	"strconv"
	"strings"
)

// weekdays are the names of days as cron knows them, from Sunday.
var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// sundays is a cron line whose weekdays the library understands: to it Sunday is 0
// alone, and in crontab 7 too, also at the end of a range (5-7, fri-sun).
func sundays(spec string) string {
	fields := strings.Fields(spec)
	if len(fields) != 5 {
		return spec
	}
	parts := strings.Split(fields[4], ",")
	for i, part := range parts {
		parts[i] = withSunday(part)
	}
	fields[4] = strings.Join(parts, ",")
	return strings.Join(fields, " ")
}

// withSunday names the days of a range that reaches 7, one by one; what it does not
// know it leaves to the library, which says what is wrong.
func withSunday(part string) string {
	days, step, stepped := strings.Cut(part, "/")
	first, last, isRange := strings.Cut(days, "-")
	from, end := weekday(first), 7
	if isRange {
		if end = weekday(last); end == 0 && from > 0 {
			end = 7
		}
	}
	every, err := 1, error(nil)
	if stepped {
		every, err = strconv.Atoi(step)
	}
	if err != nil || every < 1 || from < 0 || from > 7 || end != 7 || !isRange && from != 7 {
		return part
	}
	var list []string
	for day := from; day <= end; day += every {
		list = append(list, strconv.Itoa(day%7))
	}
	return strings.Join(list, ",")
}

// weekday is the number that a day's name or number stands for; -1: none.
func weekday(text string) int {
	for i, name := range weekdays {
		if strings.EqualFold(text, name) {
			return i
		}
	}
	if n, err := strconv.Atoi(text); err == nil {
		return n
	}
	return -1
}
