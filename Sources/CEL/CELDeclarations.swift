/// One way a function may be called, and what comes of it.
struct CELOverload: Sendable {
    /// What it is called upstream; costs go by it.
    var id: String
    var isMember: Bool
    /// What it takes, the value it is called on first.
    var parameters: [CELType]
    var result: CELType
}

/// The functions of the language, its extensions and the libraries of Kubernetes, with the types they take and give.
enum CELDeclarations {
    /// By name. What is called on a library has its name in front: `sets.contains`.
    static let functions: [String: [CELOverload]] = {
        var functions: [String: [CELOverload]] = [:]
        for line in (operators + standard + strings + lists + optionals + kubernetes).split(separator: "\n") {
            for (name, overload) in read(String(line)) { functions[name, default: []].append(overload) }
        }
        return functions
    }()

    private static let operators = """
        conditional _?_:_(bool, A, A) A
        logical_not !_(bool) bool
        negate_double -_(double) double
        negate_int64 -_(int) int
        equals _==_(A, A) bool
        not_equals _!=_(A, A) bool
        add_bytes _+_(bytes, bytes) bytes
        add_double _+_(double, double) double
        add_duration_duration _+_(duration, duration) duration
        add_duration_timestamp _+_(duration, timestamp) timestamp
        add_timestamp_duration _+_(timestamp, duration) timestamp
        add_int64 _+_(int, int) int
        add_list _+_(list(A), list(A)) list(A)
        add_string _+_(string, string) string
        add_uint64 _+_(uint, uint) uint
        divide_double _/_(double, double) double
        divide_int64 _/_(int, int) int
        divide_uint64 _/_(uint, uint) uint
        modulo_int64 _%_(int, int) int
        modulo_uint64 _%_(uint, uint) uint
        multiply_double _*_(double, double) double
        multiply_int64 _*_(int, int) int
        multiply_uint64 _*_(uint, uint) uint
        subtract_double _-_(double, double) double
        subtract_duration_duration _-_(duration, duration) duration
        subtract_int64 _-_(int, int) int
        subtract_timestamp_duration _-_(timestamp, duration) timestamp
        subtract_timestamp_timestamp _-_(timestamp, timestamp) duration
        subtract_uint64 _-_(uint, uint) uint
        $order _<_
        $order _<=_
        $order _>_
        $order _>=_
        index_list _[_](list(A), int) A
        index_map _[_](map(A, B), A) B
        optional_list_index_int _[_](optional(list(A)), int) optional(A)
        optional_map_index_value _[_](optional(map(A, B)), A) optional(B)
        list_optindex_optional_int _[?_](list(A), int) optional(A)
        optional_list_optindex_optional_int _[?_](optional(list(A)), int) optional(A)
        map_optindex_optional_value _[?_](map(A, B), A) optional(B)
        optional_map_optindex_optional_value _[?_](optional(map(A, B)), A) optional(B)
        in_list @in(A, list(A)) bool
        in_map @in(A, map(A, B)) bool

        """

    private static let standard = """
        size_bytes size(bytes) int
        bytes_size bytes:size() int
        size_list size(list(A)) int
        list_size list(A):size() int
        size_map size(map(A, B)) int
        map_size map(A, B):size() int
        size_string size(string) int
        string_size string:size() int
        type type(A) type(A)
        bool_to_bool bool(bool) bool
        string_to_bool bool(string) bool
        bytes_to_bytes bytes(bytes) bytes
        string_to_bytes bytes(string) bytes
        double_to_double double(double) double
        int64_to_double double(int) double
        string_to_double double(string) double
        uint64_to_double double(uint) double
        duration_to_duration duration(duration) duration
        string_to_duration duration(string) duration
        to_dyn dyn(A) dyn
        int64_to_int64 int(int) int
        double_to_int64 int(double) int
        duration_to_int64 int(duration) int
        string_to_int64 int(string) int
        timestamp_to_int64 int(timestamp) int
        uint64_to_int64 int(uint) int
        string_to_string string(string) string
        bool_to_string string(bool) string
        bytes_to_string string(bytes) string
        double_to_string string(double) string
        duration_to_string string(duration) string
        int64_to_string string(int) string
        timestamp_to_string string(timestamp) string
        uint64_to_string string(uint) string
        timestamp_to_timestamp timestamp(timestamp) timestamp
        int64_to_timestamp timestamp(int) timestamp
        string_to_timestamp timestamp(string) timestamp
        uint64_to_uint64 uint(uint) uint
        double_to_uint64 uint(double) uint
        int64_to_uint64 uint(int) uint
        string_to_uint64 uint(string) uint
        contains_string string:contains(string) bool
        ends_with_string string:endsWith(string) bool
        starts_with_string string:startsWith(string) bool
        matches matches(string, string) bool
        matches_string string:matches(string) bool
        $time getFullYear
        $time getMonth
        $time getDayOfYear
        $time getDayOfMonth
        $time getDate
        $time getDayOfWeek
        $time getHours
        $time getMinutes
        $time getSeconds
        $time getMilliseconds
        duration_to_hours duration:getHours() int
        duration_to_minutes duration:getMinutes() int
        duration_to_seconds duration:getSeconds() int
        duration_to_milliseconds duration:getMilliseconds() int

        """

    private static let strings = """
        string_char_at_int string:charAt(int) string
        string_index_of_string string:indexOf(string) int
        string_index_of_string_int string:indexOf(string, int) int
        string_last_index_of_string string:lastIndexOf(string) int
        string_last_index_of_string_int string:lastIndexOf(string, int) int
        string_lower_ascii string:lowerAscii() string
        string_replace_string_string string:replace(string, string) string
        string_replace_string_string_int string:replace(string, string, int) string
        string_split_string string:split(string) list(string)
        string_split_string_int string:split(string, int) list(string)
        string_substring_int string:substring(int) string
        string_substring_int_int string:substring(int, int) string
        string_trim string:trim() string
        string_upper_ascii string:upperAscii() string
        string_format string:format(list(dyn)) string
        strings_quote strings.quote(string) string
        list_join list(string):join() string
        list_join_string list(string):join(string) string

        """

    private static let lists = """
        $each list_?_is_sorted_bool list(?):isSorted() bool
        list_int_sum_int list(int):sum() int
        list_uint_sum_uint list(uint):sum() uint
        list_double_sum_double list(double):sum() double
        list_duration_sum_duration list(duration):sum() duration
        $each list_?_max_? list(?):max() ?
        $each list_?_min_? list(?):min() ?
        list_a_index_of_int list(A):indexOf(A) int
        list_a_last_index_of_int list(A):lastIndexOf(A) int
        list_includes_dyn_dyn dyn:includes(dyn) bool
        list_slice list(T):slice(int, int) list(T)
        list_flatten list(list(T)):flatten() list(T)
        list_flatten_int list(dyn):flatten(int) list(dyn)
        $each list_?_sort list(?):sort() list(?)
        $each list_?_sortByAssociatedKeys list(T):@sortByAssociatedKeys(list(?)) list(T)
        lists_range lists.range(int) list(int)
        list_reverse list(T):reverse() list(T)
        list_distinct list(T):distinct() list(T)
        list_sets_contains_list sets.contains(list(T), list(T)) bool
        list_sets_equivalent_list sets.equivalent(list(T), list(T)) bool
        list_sets_intersects_list sets.intersects(list(T), list(T)) bool

        """

    private static let optionals = """
        optional_of optional.of(V) optional(V)
        optional_ofNonZeroValue optional.ofNonZeroValue(V) optional(V)
        optional_none optional.none() optional(V)
        optional_value optional(V):value() V
        optional_hasValue optional(V):hasValue() bool
        optional_or_optional optional(V):or(optional(V)) optional(V)
        optional_orValue_value optional(V):orValue(V) V
        list_last list(V):last() optional(V)
        list_first list(V):first() optional(V)
        optional_unwrap optional.unwrap(list(optional(V))) list(V)
        optional_unwrapOpt list(optional(V)):unwrapOpt() list(V)

        """

    private static let kubernetes = """
        string_to_url url(string) kubernetes.URL
        is_url_string isURL(string) bool
        url_get_scheme kubernetes.URL:getScheme() string
        url_get_host kubernetes.URL:getHost() string
        url_get_hostname kubernetes.URL:getHostname() string
        url_get_port kubernetes.URL:getPort() string
        url_get_escaped_path kubernetes.URL:getEscapedPath() string
        url_get_query kubernetes.URL:getQuery() map(string, list(string))
        string_find_string string:find(string) string
        string_find_all_string string:findAll(string) list(string)
        string_find_all_string_int string:findAll(string, int) list(string)
        string_to_quantity quantity(string) kubernetes.Quantity
        is_quantity_string isQuantity(string) bool
        quantity_sign kubernetes.Quantity:sign() int
        quantity_sign sign(kubernetes.Quantity) int
        quantity_is_greater_than kubernetes.Quantity:isGreaterThan(kubernetes.Quantity) bool
        quantity_is_less_than kubernetes.Quantity:isLessThan(kubernetes.Quantity) bool
        quantity_compare_to kubernetes.Quantity:compareTo(kubernetes.Quantity) int
        quantity_get_float kubernetes.Quantity:asApproximateFloat() double
        quantity_get_int kubernetes.Quantity:asInteger() int
        quantity_is_integer kubernetes.Quantity:isInteger() bool
        quantity_add kubernetes.Quantity:add(kubernetes.Quantity) kubernetes.Quantity
        quantity_add_int kubernetes.Quantity:add(int) kubernetes.Quantity
        quantity_sub kubernetes.Quantity:sub(kubernetes.Quantity) kubernetes.Quantity
        quantity_sub_int kubernetes.Quantity:sub(int) kubernetes.Quantity
        string_to_ip ip(string) net.IP
        ip_family net.IP:family() int
        ip_is_canonical ip.isCanonical(string) bool
        ip_is_unspecified net.IP:isUnspecified() bool
        ip_is_loopback net.IP:isLoopback() bool
        ip_is_link_local_multicast net.IP:isLinkLocalMulticast() bool
        ip_is_link_local_unicast net.IP:isLinkLocalUnicast() bool
        ip_is_global_unicast net.IP:isGlobalUnicast() bool
        is_ip isIP(string) bool
        ip_to_string string(net.IP) string
        string_to_cidr cidr(string) net.CIDR
        cidr_contains_ip_string net.CIDR:containsIP(string) bool
        cidr_contains_ip_ip net.CIDR:containsIP(net.IP) bool
        cidr_contains_cidr_string net.CIDR:containsCIDR(string) bool
        cidr_contains_cidr net.CIDR:containsCIDR(net.CIDR) bool
        cidr_ip net.CIDR:ip() net.IP
        cidr_prefix_length net.CIDR:prefixLength() int
        cidr_masked net.CIDR:masked() net.CIDR
        is_cidr isCIDR(string) bool
        cidr_to_string string(net.CIDR) string
        format-named format.named(string) optional(kubernetes.NamedFormat)
        format-validate kubernetes.NamedFormat:validate(string) optional(list(string))
        $format dns1123Label dns1123Subdomain dns1035Label qualifiedName dns1123LabelPrefix dns1123SubdomainPrefix
        $format dns1035LabelPrefix labelValue uri uuid byte date datetime
        string_to_semver semver(string) kubernetes.Semver
        string_bool_to_semver semver(string, bool) kubernetes.Semver
        is_semver_string isSemver(string) bool
        is_semver_string_bool isSemver(string, bool) bool
        semver_is_greater_than kubernetes.Semver:isGreaterThan(kubernetes.Semver) bool
        semver_is_less_than kubernetes.Semver:isLessThan(kubernetes.Semver) bool
        semver_compare_to kubernetes.Semver:compareTo(kubernetes.Semver) int
        semver_major kubernetes.Semver:major() int
        semver_minor kubernetes.Semver:minor() int
        semver_patch kubernetes.Semver:patch() int
        """

    // MARK: - Reading the tables

    private static let ordered = ["bool", "int", "uint", "double", "string", "bytes", "timestamp", "duration"]
    private static let numbers = ["int", "uint", "double"]

    /// A line is `id name(types) result`, with `type:` before the name of what is called on a value. What begins with
    /// `$` stands for many lines.
    private static func read(_ line: String) -> [(String, CELOverload)] {
        let words = line.split(separator: " ").map(String.init)
        switch words[0] {
        case "$order":
            var pairs = ordered.map { ($0, $0) }
            for left in numbers { for right in numbers where left != right { pairs.append((left, right)) } }
            return pairs.flatMap { read("order_\($0)_\($1) \(words[1])(\($0), \($1)) bool") }
        case "$time":
            return read("timestamp_\(words[1]) timestamp:\(words[1])() int")
                + read("timestamp_\(words[1])_with_tz timestamp:\(words[1])(string) int")
        case "$each":
            let template = words.dropFirst().joined(separator: " ")
            let parts = template.split(separator: "?", omittingEmptySubsequences: false)
            return ordered.flatMap { read(parts.joined(separator: $0)) }
        case "$format":
            return words.dropFirst().flatMap { read("format.\($0) format.\($0)() kubernetes.NamedFormat") }
        default:
            var reader = CELSignatureReader(line)
            return [reader.overload()]
        }
    }
}
